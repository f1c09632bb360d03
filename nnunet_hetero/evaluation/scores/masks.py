"""What a metric is computed from: the two masks of one region of one case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_hetero.evaluation.scores.geometry import spatial_axes

if TYPE_CHECKING:
    from nnunet_hetero.evaluation.scores.surface import SurfaceDistances


@dataclass(frozen=True)
class RegionMasks:
    """Prediction and truth of a region. What several metrics need is computed once.

    Args:
        prediction: ``(z, y, x)`` bool; a 2D image has one slice.
        truth: ``(z, y, x)`` bool.
        spacing: Edges of a voxel along the axes, mm; NaN where nobody knows.

    Examples:
        >>> both = np.ones((2, 3, 4), bool)
        >>> masks = RegionMasks(both, both, (2.0, 1.0, 1.0))
        >>> masks.hits, masks.voxel, masks.is_volume
        (24, 2.0, True)
    """

    prediction: np.ndarray
    truth: np.ndarray
    spacing: Sequence[float]

    @cached_property
    def predicted(self) -> int:
        """Number of predicted voxels."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def true(self) -> int:
        """Number of true voxels."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def hits(self) -> int:
        """Number of voxels that are both."""
        return int(np.count_nonzero(self.prediction & self.truth))

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes with more than one voxel along them."""
        return spatial_axes(self.truth.shape)

    @property
    def is_volume(self) -> bool:
        """Whether this is a 3D image, not a single slice."""
        return len(self.axes) == 3

    @property
    def has_spacing(self) -> bool:
        """Whether the size of a voxel is known, along the axes that have more than one."""
        return all(math.isfinite(self.spacing[axis]) for axis in self.axes)

    @property
    def voxel(self) -> float:
        """Volume of a voxel, mm³."""
        return float(np.prod(self.spacing))

    @property
    def diagonal(self) -> float:
        """Length of the image's diagonal, mm."""
        return float(np.linalg.norm([self.truth.shape[axis] * self.spacing[axis] for axis in self.axes]))

    @cached_property
    def surface_distances(self) -> SurfaceDistances:
        """From each surface to the other one; neither mask may be empty."""
        # Late: MONAI is needed for these alone.
        from nnunet_hetero.evaluation.scores.surface import surface_distances

        return surface_distances(self.prediction, self.truth, self.spacing)
