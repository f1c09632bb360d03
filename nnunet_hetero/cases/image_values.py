"""What the values of an image say: that it cannot be used, or that its modality is absent.

The one place where both is decided; converters, fill-gaps, training, prediction and evaluation ask here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnunet_hetero.errors import DataError

EMPTY = "empty image"
CONSTANT = "constant image"

ROUNDING = 1e-6
"""An image whose values differ by no more than this share of the largest one is constant: about ten steps of float32,
left over from arithmetic. Z-scored, they would become an image of noise."""

RESAMPLING = 1e-4
"""How far resampling may move the voxels of a constant image, as a share of the constant."""

LARGEST_SUM_OF_SQUARES = float(np.finfo(np.float32).max) / 4
"""Squared deviations from a mean add up to at most four times the squares, and nnU-Net adds them in float32."""

FEW_VOXELS = 100
LARGEST_RATIO = 1e5
"""A few voxels beyond this many times all others are damage: normalised with them, the rest of the image is flat."""

SAMPLE = 1 << 16
"""Voxels that are looked at before all of them are."""

MOST_LABELS = 8
"""An image with no more values than that, all of them whole numbers below 256, may be a label map."""


def absence(image: np.ndarray) -> str | None:
    """Why an image counts as an absent modality: it is zero throughout, or has one value throughout.

    A constant image says nothing about the patient, but would take part in nnU-Net's cropping and, by other images'
    masks, in their normalisation. So it is left out before both.

    Args:
        image: Of any shape and type; finite.

    Returns:
        `EMPTY`, `CONSTANT`, or None for an image that is one.

    Example:
        >>> absence(np.zeros((2, 2))), absence(np.full((2, 2), 7.0)), absence(np.array([7.0, 8.0]))
        ('empty image', 'constant image', None)
    """
    if not image.size:
        return EMPTY
    low, high = float(image.min()), float(image.max())
    largest = max(abs(low), abs(high))
    if not largest:
        return EMPTY
    return CONSTANT if high - low <= ROUNDING * largest else None


def is_flat(values: np.ndarray) -> bool:
    """Whether a preprocessed image has one value throughout, which is not zero: what was normalised was constant."""
    largest = float(np.abs(values).max())
    return largest > 0 and float(np.ptp(values)) <= RESAMPLING * largest


def is_two_valued(image: np.ndarray) -> bool:
    """Whether an image has one value besides zero, as a mask has."""
    inside = image[image != 0]
    return 0 < inside.size < image.size and absence(inside) == CONSTANT


def is_like_labels(image: np.ndarray) -> bool:
    """Whether an image has a few small whole numbers besides zero, as a mask or a label map has."""
    inside = image[image != 0]
    # Nearly every image has many values among a few thousand voxels, which saves sorting all of them.
    for values in (inside[:: max(1, inside.size // 4096)], inside):
        values = np.unique(values)
        if values.size > MOST_LABELS or np.any((values < 0) | (values > 255) | (values != np.round(values))):
            return False
    return 0 < inside.size < image.size


def doubts(image: np.ndarray, others: Mapping[str, np.ndarray]) -> str | None:
    """Why an image may be another one than it is taken for, in words; None if nothing tells so.

    Args:
        image: Its voxels.
        others: Images of the other modalities of the case, by name.
    """
    if is_two_valued(image):
        return "has one value besides 0, as a mask has; taken as an image"
    if is_like_labels(image):
        return "has few values, as a label map has; taken as an image"
    same = next((name for name, other in others.items() if np.array_equal(image, other)), None)
    return None if same is None else f"is voxel by voxel the same as {same}. If it is a copy, leave one of them out"


def require_usable(values: np.ndarray, what: str, reverse: bool = False, remedy: str = "") -> None:
    """Refuse values that nnU-Net cannot compute with; it reads images as float32.

    Args:
        values: As stored in the file, or as given.
        what: Case, channel and file, the start of the error's text.
        reverse: Whether the axes are ``(z, y, x)``; voxels are named ``(x, y, z)``, as viewers do.
        remedy: What to do, if not to replace these values: those of a result are not the user's to change.

    Raises:
        DataError: If values are complex, one is NaN, infinite or beyond float32, their standard deviation is not finite
            in float32, or a few values are so far beyond all others that these would count as constant. It names the
            voxel.
    """
    if values.dtype.kind == "c":
        raise DataError(
            f"{what} has complex numbers, of which readers take the real part alone. Save the magnitude instead."
        )
    if values.dtype.kind not in "fiub" or not values.size:
        return
    bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if values.dtype.itemsize > 4 and values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            bad |= np.abs(values) > np.finfo(np.float32).max
    if bad.any():
        first = _voxel(values, int(bad.argmax()), reverse)
        number = int(np.count_nonzero(bad))
        raise DataError(
            f"{what} has {number} voxel(s) that are NaN or infinite as float32, which nnU-Net computes with: {first}. "
            f"{remedy or 'Replace them, e.g. by 0.'}"
        )
    if _is_surely_sound(values):
        return
    sizes = np.abs(values.astype(np.float64)).ravel()
    largest = int(sizes.argmax())
    if float(np.square(sizes).sum()) > LARGEST_SUM_OF_SQUARES:
        raise DataError(
            f"{what} has values whose standard deviation is not finite as float32, which nnU-Net computes with: "
            f"{_voxel(values, largest, reverse)}. {remedy or 'Replace them, or scale the image.'}"
        )
    if sizes.size <= 10 * FEW_VOXELS:
        return
    # Counting is much faster than finding the largest of the others.
    if np.count_nonzero(sizes >= sizes[largest] / LARGEST_RATIO) >= FEW_VOXELS:
        return
    others = float(np.partition(sizes, -FEW_VOXELS)[-FEW_VOXELS])
    if others and sizes[largest] > LARGEST_RATIO * others:
        raise DataError(
            f"{what} has voxel(s) more than {LARGEST_RATIO:g} times larger than almost all others, as damage leaves "
            f"them: {_voxel(values, largest, reverse)}, others up to {others:.6g}. Normalised with them the rest would "
            f"be flat. {remedy or 'Replace them, e.g. by 0.'}"
        )


def _is_surely_sound(values: np.ndarray) -> bool:
    """Whether the squares cannot sum to more than `LARGEST_SUM_OF_SQUARES`, and a sample shows voxels enough that are
    not `LARGEST_RATIO` times smaller than the largest: nearly every image, without a copy of it.

    Args:
        values: Finite.
    """
    largest = max(abs(float(values.min())), abs(float(values.max())))
    if values.size * largest**2 > LARGEST_SUM_OF_SQUARES:
        return False
    sample = np.abs(values.ravel()[:: max(1, values.size // SAMPLE)].astype(np.float64))
    return bool(np.count_nonzero(sample >= largest / LARGEST_RATIO) >= FEW_VOXELS)


def _voxel(values: np.ndarray, place: int, reverse: bool) -> str:
    index: Sequence[int] = [int(number) for number in np.unravel_index(place, values.shape)]
    value = values.ravel()[place]
    return f"voxel {tuple(index[::-1] if reverse else index)} is {value:.6g}"
