"""The scale on which volumes are compared, g(V) = log(V + v0), and how far off a prediction is on it.

On it twice as much and half as much are equally far, and a region of nothing has a place, too: v0 is the larger of
`SMALLEST` and one voxel. The width that a model states of a volume is τ + û, its disagreement (1 - Dice between the
draws and the segmentation) and a constant, `FLOOR`, or 1 where widths are fixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SMALLEST = {"ml": 0.1, "mm2": 10.0}
"""v0 by the unit of the size: 0.1 ml, or 10 mm² of a 2D image."""

FLOOR = 0.1
"""τ."""


@dataclass(frozen=True)
class VolumeScale:
    """The scale of one case.

    Args:
        voxel: Size of a voxel on the case's own grid.
        unit: Of the sizes, ``ml`` or ``mm2``.
        largest: Size of the whole image, which no region exceeds.
    """

    voxel: float
    unit: str
    largest: float = math.inf

    @property
    def smallest(self) -> float:
        """v0."""
        return max(SMALLEST[self.unit], self.voxel)

    def place(self, sizes: np.ndarray) -> np.ndarray:
        """g(V), same shape."""
        return np.log(sizes + self.smallest)

    def size(self, place: float) -> float:
        """The size at a place, 0 below the scale's end, and no more than the whole image."""
        highest = float(self.place(np.array(self.largest)))
        return min(max(0.0, float(np.exp(min(place, highest))) - self.smallest), self.largest)


def stated_width(disagreement: np.ndarray, by_disagreement: bool) -> np.ndarray:
    """The width that a model states of a size, same shape.

    Args:
        disagreement: û.
        by_disagreement: Whether it counts; else all widths are 1.
    """
    return FLOOR + disagreement if by_disagreement else np.ones_like(disagreement)
