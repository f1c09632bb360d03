"""What the probabilities of a region tell of how good its segmentation is: little work beside making them."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 0.005
"""Voxels of a lower probability do not count: there are many, far away, and a temperature would lift all of them."""

SOFT = 3.0
"""Temperature of the softened probabilities. Those of calibrated models were about 3 for regions of tumours."""


def expected_dice(probability: Tensor, mask: Tensor, temperatures: tuple[float, ...] = (1.0, SOFT)) -> list[float]:
    """The Dice of a segmentation with a truth that is drawn from the probabilities, voxel by voxel.

    2 Σ p over the segmentation, divided by Σ p over all voxels plus the size of the segmentation. Numerator and
    denominator are expected values; over a region of many voxels both hardly vary.

    Args:
        probability: Of the region, ``(*spatial)``.
        mask: Its segmentation, ``(*spatial)`` bool.
        temperatures: At which the probabilities are taken, see `nnunet_hetero.reliability.temperature`.

    Returns:
        One for each temperature; 0 for an empty segmentation.

    Examples:
        >>> p = torch.tensor([0.9, 0.7, 0.4, 0.0])
        >>> [round(one, 3) for one in expected_dice(p, p > 0.5, (1.0,))]
        [0.8]
    """
    size = int(mask.sum())
    if not size:
        return [0.0] * len(temperatures)
    counts = mask | (probability > SMALLEST)
    chosen, inside = probability[counts].float(), mask[counts]
    found = []
    for temperature in temperatures:
        p = chosen if temperature == 1 else torch.sigmoid(torch.logit(chosen, 1e-6) / temperature)
        found.append(float(2 * p[inside].sum() / (p.sum() + size)))
    return found


def surface_share(mask: Tensor) -> float:
    """The part of a region's voxels that lie on its surface: with a neighbour across a face that is outside.

    The same error along the surface costs the more Dice the larger this is.

    Args:
        mask: ``(*spatial)`` bool. What is beyond the grid is outside, but for axes of a single voxel.

    Returns:
        0 to 1; 1 for an empty region.
    """
    size = int(mask.sum())
    if not size:
        return 1.0
    inner = mask.clone()
    for axis, edge in enumerate(mask.shape):
        if edge == 1:
            continue
        inner.narrow(axis, 1, edge - 1).logical_and_(mask.narrow(axis, 0, edge - 1))
        inner.narrow(axis, 0, edge - 1).logical_and_(mask.narrow(axis, 1, edge - 1))
        inner.narrow(axis, 0, 1).fill_(False)
        inner.narrow(axis, edge - 1, 1).fill_(False)
    return 1 - int(inner.sum()) / size
