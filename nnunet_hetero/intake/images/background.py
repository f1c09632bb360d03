"""Whether an image shows a whole head to a model that has seen brains only."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.intake.images.grids import grid_of

CORNER = 8
"""A corner of the image is a box of one in so many voxels along each edge; no brain reaches into it."""

MOST_IN_CORNERS = 0.05
"""Share of the corners' voxels that may be other than zero."""

MOST_LARGER = 1.6
"""How many times larger the box around what is not zero may be than in the median training image. Brains differ by
less; a head is 2.5 times as large as its brain."""


def not_like_training(image: sitk.Image, litres: float | None) -> str | None:
    """Why an image cannot have the zero background of a model's training images, in words; None if it may have.

    Args:
        image: 3D.
        litres: Volume of the box around what is not zero in the median training image; None if it is not known.
    """
    inside = sitk.GetArrayViewFromImage(image) != 0
    corners = inside
    for axis, size in enumerate(inside.shape):
        depth = max(1, size // CORNER)
        corners = np.take(corners, [*range(depth), *range(size - depth, size)], axis=axis)
    share = float(corners.mean())
    if share > MOST_IN_CORNERS:
        return f"its background is not zero ({share:.0%} of the voxels in the image's corners are something else)"
    if litres is None:
        return None
    own = _box_litres(inside, grid_of(image).spacing)
    if own > MOST_LARGER * litres:
        return (
            f"what is not zero fills a box of {own:.1f} litres; that of the median training image has {litres:.1f}, so "
            "this may be a head with its skull"
        )
    return None


def _box_litres(inside: np.ndarray, spacing: np.ndarray) -> float:
    if not inside.any():
        return 0.0
    edges = [float(np.ptp(places)) + 1 for places in inside.nonzero()]
    return float(np.prod(edges) * np.prod(spacing) / 1e6)
