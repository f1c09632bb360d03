"""Whether two images on one grid show one head: edges of tissue lie at the same places, whatever the contrast.

Directions of gradients are compared, without their sign: Haber and Modersitzki, Intensity gradient based registration
and fusion of multi-modal images, MICCAI 2006. How well they agree depends on contrast and noise, so it is divided by
how well they agree where one of the images is shifted: of one head it falls at once, of two it hardly does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunet_hetero.intake.images.background import CORNER
from nnunet_hetero.intake.registration.working import PERCENTILES, TISSUE

EDGE = 2.0
"""mm that voxels are averaged to, and standard deviation of the smoothing after that."""

LARGEST_EDGE = 3.0
"""mm. Images of which two axes have longer voxels show too few edges."""

NOISE = 4.0
"""Standard deviations above the mean of the corners that still are background."""

RIM = 4.0
"""mm of the tissue's edge that do not take part: heads have much the same outline."""

OFF = 8.0
"""mm that the one image is shifted by, both ways along each axis."""

POINTS = 20_000
"""Voxels that are compared."""

FEWEST = 1000
"""Fewer say nothing."""


MARGIN = OFF + 4 * EDGE
"""mm around the tissue that are looked at: what lies farther off is not compared, and smooths nothing that is."""


@dataclass(frozen=True)
class Edges:
    """The edges of an image.

    Args:
        directions: Of the gradient, shorter than 1 where it is weak, (3, *spatial).
        inside: Which voxels lie inside of the tissue.
        spacing: Edges of a voxel, mm, in the order of the axes.
        box: Which part of the image they are of, in its averaged voxels.
    """

    directions: np.ndarray
    inside: np.ndarray
    spacing: np.ndarray
    box: tuple[slice, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Edges | None:
        """Those of a 3D image; None if its voxels are too large."""
        spacing = np.array(image.GetSpacing()[::-1])
        if np.sort(spacing)[1] > LARGEST_EDGE:
            return None
        factors = np.maximum(np.round(EDGE / spacing), 1).astype(int)
        averaged = sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), factors[::-1].tolist())
        values = sitk.GetArrayViewFromImage(averaged)
        spacing = spacing * factors
        not_zero = values[values != 0]
        low, high = np.percentile(not_zero, PERCENTILES) if not_zero.size else (0.0, 1.0)
        values = values.clip(min(float(low), 0.0), float(high))
        tissue = values > _noise(values) + TISSUE * float(np.ptp(values))
        box = _around(tissue, spacing)
        values, tissue = values[box], tissue[box]
        rim = ndimage.generate_binary_structure(3, 1)
        inside = ndimage.binary_erosion(tissue, rim, iterations=max(1, round(RIM / float(spacing.min()))))
        smooth = ndimage.gaussian_filter(values, EDGE / spacing)
        slopes = np.stack(np.gradient(smooth, *spacing.tolist()))
        squares = (slopes**2).sum(axis=0)
        usual = float(np.median(squares[inside])) if inside.any() else 1.0
        return cls(slopes / np.sqrt(squares + usual + np.finfo(np.float32).tiny), inside, spacing, box)

    def within(self, box: tuple[slice, ...]) -> Edges:
        """Those of a part of the image, which lies in `box`."""
        part = tuple(slice(new.start - own.start, new.stop - own.start) for new, own in zip(box, self.box, strict=True))
        of_all_axes = (slice(None), *part)
        return replace(self, directions=self.directions[of_all_axes], inside=self.inside[part], box=box)


def edges_in_common(one: Edges, other: Edges) -> float | None:
    """How many times better the edges of two images on one grid agree where they lie than `OFF` beside.

    Returns:
        1 for images that have nothing to do with each other; None if they have too little in common to say.
    """
    box = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one.box, other.box, strict=True))
    if any(part.start >= part.stop for part in box):
        return None
    one, other = one.within(box), other.within(box)
    places = np.argwhere(one.inside & other.inside)
    if len(places) < FEWEST:
        return None
    places = places[np.linspace(0, len(places) - 1, min(POINTS, len(places))).astype(int)]
    beside = []
    for axis, edge in enumerate(one.spacing):
        for way in (-1, 1):
            there = places.copy()
            there[:, axis] += way * max(1, round(OFF / edge))
            fits = (there[:, axis] >= 0) & (there[:, axis] < one.inside.shape[axis])
            fits[fits] = other.inside[tuple(there[fits].T)]
            if np.count_nonzero(fits) >= FEWEST / 2:
                beside.append(_agreement(one, places[fits], other, there[fits]))
    usual = float(np.mean(beside)) if beside else 0.0
    return _agreement(one, places, other, places) / usual if usual else None


def _agreement(one: Edges, here: np.ndarray, other: Edges, there: np.ndarray) -> float:
    """Mean of the squared cosine between two gradients, less where they are weak."""
    i, j, k = here.T
    x, y, z = there.T
    products = one.directions[:, i, j, k] * other.directions[:, x, y, z]
    return float((products.sum(axis=0) ** 2).mean())


def _noise(values: np.ndarray) -> float:
    """What the background reaches, by the image's corners; 0 around brains without skull."""
    corners = values[np.ix_(*([*range(size // CORNER), *range(size - size // CORNER, size)] for size in values.shape))]
    lowest = float(values.min())
    return max(lowest, float(corners.mean() + NOISE * corners.std())) if corners.size else lowest


def _around(tissue: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """The box of the tissue with a margin; all of an image without any."""
    box = []
    for axis, edge in enumerate(spacing):
        found = np.flatnonzero(tissue.any(axis=tuple(other for other in range(tissue.ndim) if other != axis)))
        margin, size = math.ceil(MARGIN / edge), tissue.shape[axis]
        first, last = (int(found[0]), int(found[-1])) if found.size else (0, size)
        box.append(slice(max(0, first - margin), min(size, last + margin + 1)))
    return tuple(box)
