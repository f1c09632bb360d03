"""How alike two images are, in place and when one is moved."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from nnunet_hetero.reliability.input_evidence import Moved

MOVED = 6.0
"""Millimetres from which on an image counts as moved."""

FARTHEST = 30.0
"""Millimetres along each axis that an image is moved to look for a better place."""

FINE = 3.0
"""Millimetres: finer grids are averaged to voxels of at least about this edge before anything is moved."""

LARGEST = 0.999
"""Correlation that is told from 1."""


def likeness(one: Tensor, others: Tensor) -> Tensor:
    """Fisher's z of the correlation of an image with others, ``(k,)``; 0 with a constant one.

    Args:
        one: ``(n,)``.
        others: ``(k, n)``.
    """
    one, others = one - one.mean(), others - others.mean(dim=1, keepdim=True)
    norms = one.norm() * others.norm(dim=1)
    return torch.atanh((others @ one / norms.clamp(min=1e-6)).clamp(-LARGEST, LARGEST))


def likeness_elsewhere(image: Tensor, other: Tensor, inside: Tensor, spacing: Sequence[float]) -> Moved:
    """How alike two images are in place, and how alike if one is moved by `MOVED` to `FARTHEST`.

    Args:
        image: ``(*tile)``.
        other: Same shape.
        inside: Where they count, ``(*tile)`` bool; outside they are taken as their mean.
        spacing: Edges of a voxel, mm.

    Returns:
        `likeness` in place and in the best other place, both on the coarser grid.
    """
    steps = [max(1, int(FINE // edge)) for edge in spacing]
    coarse = [edge * step for edge, step in zip(spacing, steps, strict=True)]
    one, two = (_pooled(_centred(values, inside), steps) for values in (image, other))
    reach = [int(FARTHEST // edge) for edge in coarse]
    shape = [next_fast_len(size + span) for size, span in zip(one.shape, reach, strict=True)]
    products = torch.fft.irfftn(torch.fft.rfftn(one, shape).conj() * torch.fft.rfftn(two, shape), shape)
    places = [_places(size, span) for size, span in zip(shape, reach, strict=True)]
    for axis, place in enumerate(places):
        products = products.index_select(axis, place.to(products.device))
    offsets = [torch.arange(-span, span + 1) * edge for span, edge in zip(reach, coarse, strict=True)]
    distance = torch.stack(torch.meshgrid(*offsets, indexing="ij")).square().sum(dim=0).sqrt()
    alike = torch.atanh((products / (one.norm() * two.norm()).clamp(min=1e-6)).clamp(-LARGEST, LARGEST)).cpu()
    elsewhere = torch.where(distance >= MOVED, alike, -torch.inf).flatten()
    best = int(elsewhere.argmax())
    return {
        "in_place": alike[distance == 0].item(),
        "elsewhere": elsewhere[best].item(),
        "distance": distance.flatten()[best].item(),
    }


def _centred(values: Tensor, inside: Tensor) -> Tensor:
    values = values.float()
    return torch.where(inside, values - torch.where(inside, values, 0.0).sum() / inside.sum(), 0.0)


def _pooled(values: Tensor, steps: Sequence[int]) -> Tensor:
    pool = functional.avg_pool3d if values.ndim == 3 else functional.avg_pool2d
    return pool(values[None, None], tuple(steps), ceil_mode=True)[0, 0] if max(steps) > 1 else values


def _places(size: int, reach: int) -> Tensor:
    """Where in a circular correlation the shifts from -reach to reach are."""
    return torch.arange(-reach, reach + 1) % size
