"""ModDropPlusTrainer: ModDrop++ (Liu et al., MICCAI 2022), the strong version of dropped channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.published.filter_scaling import FilterScaledUNet
from nnunet_hetero.training.hetero_trainer import HeteroTrainer

SIMILARITY_WEIGHT = 2.0
"""Of 1 - SSIM, beside a segmentation loss of weight 1 for each of the two passes; the authors' code has 200 to 100."""

WINDOW = 7
STABILISERS = 0.01**2, 0.03**2
"""SSIM's constants for a data range of 1."""


class ModDropPlusTrainer(HeteroTrainer):
    """Trains `FilterScaledUNet`: each sample seen through all that it has, and through a random subset of it.

    Both are segmented, and the first features of the two are to be alike (the paper's "intra-subject co-training").
    """

    network_class: type[HeteroNetwork] = FilterScaledUNet

    def draw_subsets(self, present: Tensor) -> Tensor:
        """All that each sample has, and a random subset of it, ``(2, B, M)``."""
        return torch.stack([present, super().draw_subsets(present)])

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `HeteroTrainer`; ``loss`` is of the random subset, ``loss_full`` of all, ``similarity`` is SSIM."""
        with self.autocast():
            full, partial = self.network(data, drawn)
            segmentation, segmentation_full = (
                self.loss(partial.segmentation, target),
                self.loss(full.segmentation, target),
            )
        similarity = ssim(full.features.float(), partial.features.float())
        total = segmentation + segmentation_full + SIMILARITY_WEIGHT * (1 - similarity)
        terms = {"loss": segmentation, "total": total, "loss_full": segmentation_full, "similarity": similarity}
        return total, terms


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of feature maps, the mean over all; windows of `WINDOW` voxels, uniform.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, equation 13.

    Args:
        first: ``(B, C, *spatial)``.
        second: Of the same shape.
    """
    dimension = first.ndim - 2
    pool = functional.avg_pool3d if dimension == 3 else functional.avg_pool2d
    window = [min(WINDOW, size) for size in first.shape[2:]]

    def local(values: Tensor) -> Tensor:
        for axis, size in enumerate(window):  # one axis after the other: far fewer additions
            values = pool(values, [size if axis == other else 1 for other in range(dimension)], stride=1)
        return values

    mean, other = local(first), local(second)
    variance, other_variance = local(first.square()) - mean.square(), local(second.square()) - other.square()
    covariance = local(first * second) - mean * other
    small, larger = STABILISERS
    luminance = (2 * mean * other + small) / (mean.square() + other.square() + small)
    return (luminance * (2 * covariance + larger) / (variance + other_variance + larger)).mean()
