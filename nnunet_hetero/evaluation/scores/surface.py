"""Distances between the surfaces of two masks, in mm, by MONAI."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from monai.metrics.utils import get_edge_surface_distance


class SurfaceScores(NamedTuple):
    """How close two surfaces are.

    Attributes:
        hd95: 95th percentile of the Hausdorff distance, mm: the larger one of the two directions.
        nsd: Normalised surface Dice, 0 to 1: the share of both surfaces that is within the tolerance of the other
            (Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy", JMIR 2021).
    """

    hd95: float
    nsd: float


def surface_scores(first: np.ndarray, second: np.ndarray, spacing: Sequence[float], tolerance: float) -> SurfaceScores:
    """HD95 and normalised surface Dice of two masks, neither of them empty.

    The surface of a mask are its voxels with a face on the outside, or at the image's border.

    Args:
        first: Mask.
        second: Mask of the same shape.
        spacing: Edges of a voxel along the axes, mm.
        tolerance: Of the surface Dice, mm.
    """
    axes = spatial_axes(first.shape)
    box = bounding_box(first | second)
    masks = [torch.from_numpy(np.ascontiguousarray(mask[box]).squeeze(_flat(first.shape))) for mask in (first, second)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.5 and 1.6 warn of what they call themselves
        _, distances, _ = get_edge_surface_distance(*masks, spacing=[spacing[axis] for axis in axes], symmetric=True)
    hd95 = max(float(torch.quantile(one.float(), 0.95)) for one in distances)
    within = sum(int((one <= tolerance).sum()) for one in distances)
    return SurfaceScores(hd95, within / sum(len(one) for one in distances))


def spatial_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """The axes of an image that has more than one voxel along them: a single slice is a 2D image."""
    return tuple(axis for axis, size in enumerate(shape) if size > 1)


def _flat(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis for axis, size in enumerate(shape) if size == 1)


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """The smallest box with all of a mask, that is not empty, and a margin in voxels, as far as the image goes."""
    box = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(max(int(there[0]) - margin, 0), int(there[-1]) + margin + 1))
    return tuple(box)
