"""Distances between the surfaces of two masks, in mm, by MONAI."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.utils import get_edge_surface_distance
from torch import Tensor

from nnunet_hetero.evaluation.scores.geometry import bounding_box, spatial_axes


@dataclass(frozen=True)
class SurfaceDistances:
    """How far the voxels of each of two surfaces are from the other surface, mm.

    Args:
        first: ``(voxels,)``, of the first surface.
        second: ``(voxels,)``, of the second surface.
    """

    first: Tensor
    second: Tensor

    @property
    def hd95(self) -> float:
        """95th percentile of the Hausdorff distance, mm: the larger one of the two directions."""
        return max(float(torch.quantile(one.float(), 0.95)) for one in (self.first, self.second))

    def within(self, tolerance: float) -> float:
        """Normalised surface Dice, 0 to 1: the share of both surfaces that is within a tolerance of the other.

        Source: Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy", JMIR 2021.

        Args:
            tolerance: mm.
        """
        near = sum(int((one <= tolerance).sum()) for one in (self.first, self.second))
        return near / (len(self.first) + len(self.second))


def surface_distances(first: np.ndarray, second: np.ndarray, spacing: Sequence[float]) -> SurfaceDistances:
    """The distances between the surfaces of two masks, neither of them empty.

    The surface of a mask are its voxels with a face on the outside, or at the image's border.

    Args:
        first: Mask.
        second: Mask of the same shape.
        spacing: Edges of a voxel along the axes, mm.
    """
    axes = spatial_axes(first.shape)
    box = bounding_box(first | second)
    one, two = (torch.from_numpy(np.ascontiguousarray(m[box]).squeeze(_flat(first.shape))) for m in (first, second))
    edges = [spacing[axis] for axis in axes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.5 and 1.6 warn of what they call themselves
        _, distances, _ = get_edge_surface_distance(one, two, spacing=edges, symmetric=True)
    return SurfaceDistances(*distances)


def _flat(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis for axis, size in enumerate(shape) if size == 1)
