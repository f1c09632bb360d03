"""Where an image and what is in it lie: spatial axes, bounding boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spatial_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """The axes of an image that has more than one voxel along them: a single slice is a 2D image.

    Examples:
        >>> spatial_axes((1, 240, 240))
        (1, 2)
    """
    return tuple(axis for axis, size in enumerate(shape) if size > 1)


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """The smallest box with all of a mask, that is not empty, and a margin in voxels, as far as the image goes.

    Examples:
        >>> bounding_box(np.array([[0, 0, 0], [0, 1, 1]]) > 0)
        (slice(1, 2, None), slice(1, 3, None))
    """
    box = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(max(int(there[0]) - margin, 0), int(there[-1]) + margin + 1))
    return tuple(box)
