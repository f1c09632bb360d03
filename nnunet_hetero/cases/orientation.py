"""Which way round an image lies in the patient, and turning it without resampling: voxels keep their bits.

An orientation is three letters, one for each axis of the file in its order (i, j, k): the side towards which the index
grows. R or L is the patient's right or left, A or P anterior or posterior, S or I superior or inferior. So "RAS" is an
image whose first axis runs to the right, its second one to the front and its third one to the top; nibabel's
``aff2axcodes`` and ITK's ``DICOMOrient`` count alike. There are 48. An oblique image has the orientation of the nearest
axes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import SimpleITK as sitk
from nibabel.orientations import io_orientation, ornt2axcodes

from nnunet_hetero.cases.geometry import Geometry, read_geometry
from nnunet_hetero.cases.image_files import is_nifti, read_header
from nnunet_hetero.errors import DataError, SettingsError

SIDES = ("LR", "PA", "IS")
"""The two ends of each line through the patient."""

UNKNOWN = "unknown"
"""What stands for the orientation of a model's training images where a checkpoint of an earlier version tells none."""

FORMS = ("sform", "qform")
"""Where a NIfTI header may say how an image lies."""

_TILT = 1e-4
"""Radians by which the patient is turned before the nearest axes are looked for. An image that lies just between two of
them, 45 degrees off both, then has the same ones however its file stores it, and whatever was rounded."""


def axis_codes(affine: np.ndarray) -> str:
    """The orientation of a grid.

    Args:
        affine: Voxel index to position in mm, right, anterior, superior, as nibabel gives it, (4, 4).

    Example:
        >>> axis_codes(np.diag([-2.0, 1.0, 1.0, 1.0]))
        'LAS'
    """
    x, y, z = _TILT, 2 * _TILT, 3 * _TILT
    tilted = np.array([[1, -z, y, 0], [z, 1, -x, 0], [-y, x, 1, 0], [0, 0, 0, 1]]) @ affine
    return "".join(ornt2axcodes(io_orientation(tilted)))


def angle_off_axes(affine: np.ndarray) -> float:
    """How far the axes of a grid lie off those of its orientation at most, in degrees: 0 for one that is not oblique.

    Args:
        affine: See `axis_codes`.
    """
    axes = np.asarray(affine)[:3, :3] / np.linalg.norm(np.asarray(affine)[:3, :3], axis=0)
    along = [abs(axes[_line(letter), axis]) for axis, letter in enumerate(axis_codes(affine))]
    return float(np.degrees(np.arccos(np.clip(along, 0, 1)).max()))


def orientation_of(image: sitk.Image) -> str:
    """The orientation of an image, three letters such as ``RAS``, see the top of this file.

    Raises:
        DataError: If it is not 3D: what has two axes lies nowhere in a patient.
    """
    return axis_codes(_grid(image).ras_affine)


def obliqueness(image: sitk.Image) -> float:
    """How far the axes of an image lie off the nearest axes of the patient at most, in degrees.

    Raises:
        DataError: If it is not 3D.
    """
    return angle_off_axes(_grid(image).ras_affine)


def reoriented(image: sitk.Image, orientation: str) -> sitk.Image:
    """An image with its axes in another order and direction: each voxel keeps its value and its place in space.

    Args:
        image: 3D.
        orientation: That of the result; ``reoriented(result, orientation_of(image))`` is the way back.

    Raises:
        DataError: If it is not 3D.
        SettingsError: If there is no such orientation.
    """
    before, after = orientation_of(image), require_orientation(orientation)
    axes = axes_of_turn(before, after)
    permuted = image if axes == sorted(axes) else sitk.PermuteAxes(image, axes)  # which copies slowly
    return sitk.Flip(permuted, [before[axis] != letter for axis, letter in zip(axes, after, strict=True)])


def require_orientation(text: str, flag: str = "The orientation") -> str:
    """An orientation that a user has named, in capital letters.

    Args:
        text: What was named.
        flag: What it was named for, the start of the message.

    Raises:
        SettingsError: If there is no such orientation.
    """
    letters = text.upper()
    if not re.fullmatch("[LRPAIS]{3}", letters) or len({_line(letter) for letter in letters}) < 3:
        raise SettingsError(
            f"{flag} is '{text}'; it must be three letters, one of L and R, one of P and A and one of I and S, in the "
            "order of the file's axes, e.g. RAS."
        )
    return letters


def most_common(orientations: Iterable[str | None]) -> str | None:
    """The orientation that most have, of equally many the first by the alphabet; None if none has any.

    Example:
        >>> most_common(["RAS", "LPS", None, "RAS"])
        'RAS'
    """
    counts = Counter(orientation for orientation in orientations if orientation is not None)
    return min(counts, key=lambda orientation: (-counts[orientation], orientation), default=None)


def in_words(orientations: Mapping[str, str | None]) -> str:
    """Which cases have which orientation: how many have the most common one, and the names of all others.

    Args:
        orientations: By case.

    Example:
        >>> in_words({"a": "RAS", "b": "RAS", "c": "LPI"})
        'RAS in 2 case(s), LPI in 1: c'
    """
    cases: dict[str, list[str]] = {}
    for case, orientation in sorted(orientations.items()):
        cases.setdefault(orientation or "none", []).append(case)
    most = max(cases, key=lambda orientation: len(cases[orientation]))
    others = (f"{one} in {len(names)}: {', '.join(names)}" for one, names in cases.items() if one != most)
    return ", ".join([f"{most} in {len(cases[most])} case(s)", *others])


def axes_of_turn(before: str, after: str) -> list[int]:
    """Which axis of a grid becomes the first, second and third one of another orientation."""
    lines = [_line(letter) for letter in before]
    return [lines.index(_line(letter)) for letter in after]


def turned(array: np.ndarray, before: str, after: str) -> np.ndarray:
    """An array whose last axes are brought from one orientation to another; a view of it.

    Args:
        array: ``(..., a, b, c)``.
        before: Its orientation, by the order of the array's axes: `Geometry` has that of the file, which for arrays of
            nnU-Net and SimpleITK, ``(z, y, x)``, is to be read backwards.
        after: That of the result, likewise.

    Example:
        >>> turned(np.array([[[1, 2]]]), "RAS", "LIP")
        array([[[2],
                [1]]])
    """
    axes = axes_of_turn(before, after)
    others = array.ndim - len(axes)
    permuted = array.transpose([*range(others), *(others + axis for axis in axes)])
    flipped = (others + place for place, axis in enumerate(axes) if before[axis] != after[place])
    return np.flip(permuted, tuple(flipped))


def turned_grid(grid: Geometry, orientation: str) -> Geometry:
    """The grid of the same voxels once they are brought to another orientation."""
    before = axis_codes(grid.ras_affine)
    axes = axes_of_turn(before, orientation)
    flipped = np.array([before[axis] != letter for axis, letter in zip(axes, orientation, strict=True)])
    first = np.zeros(3)
    for axis, flip in zip(axes, flipped, strict=True):
        first[axis] = grid.shape[axis] - 1 if flip else 0
    return Geometry(
        tuple(grid.shape[axis] for axis in axes),
        grid.spacing[axes],
        grid.direction[:, axes] * np.where(flipped, -1.0, 1.0),
        grid.origin + grid.direction @ (grid.spacing * first),
    )


def _line(letter: str) -> int:
    return next(number for number, ends in enumerate(SIDES) if letter in ends)


def _grid(image: sitk.Image) -> Geometry:
    if image.GetDimension() != 3:
        raise DataError(f"The image has {image.GetDimension()} axes; only one of three has an orientation.")
    direction = np.reshape(image.GetDirection(), (3, 3))
    return Geometry(image.GetSize(), np.array(image.GetSpacing()), direction, np.array(image.GetOrigin()))


def stored_orientation(file: str | os.PathLike) -> str | None:
    """The orientation that ITK takes a file to have, without a look at the voxels.

    Args:
        file: An image or a label map.

    Returns:
        Three letters; None for a NIfTI file of fewer than three axes.

    Raises:
        DataError: If the header cannot be read.
    """
    if is_nifti(file):
        header = read_header(file)
        if header["dim"][0] < 3:
            return None
        forms = [getattr(header, f"get_{name}")() for name in FORMS if header[f"{name}_code"] > 0]
        found = set(map(axis_codes, forms))
        if len(found) == 1:
            return found.pop()
    # ITK chooses where there are two, or none.
    return axis_codes(read_geometry(file).ras_affine)
