"""Whether the slices of a series make one volume: each place once, none missing, evenly spaced, at right angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_hetero.cases.geometry import TOLERANCE, Geometry, numbers
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.slices import Slice, slices_of
from nnunet_hetero.intake.dicom.values import number, text, values
from nnunet_hetero.intake.dicom.values import numbers as numbers_in

SAME_PLACE = 0.01
"""Slices closer than this share of the usual distance lie at one place."""

WHOLE = 0.2
"""A gap that is a multiple of the usual distance within this share of it is where slices are missing."""

SAME_TIME = 0.05
"""Share by which times of a sequence may differ between slices of one image."""

_RIGHT_ANGLE = 0.01
"""How far the products of the two directions of a slice may be from those of unit vectors at right angles."""

_AGAIN = "Export the series again."

_IN_ALL = (
    *("EchoTime", "RepetitionTime", "InversionTime", "DiffusionBValue", "ContrastBolusAgent", "SeriesDescription"),
    *("FrameOfReferenceUID", "PhotometricInterpretation"),
)
"""What slices of one image share."""

_VOLUMES_DIFFER_IN = {
    "TemporalPositionIdentifier": "time points",
    "EchoTime": "echoes",
    "DiffusionBValue": "diffusion weightings",
    "AcquisitionNumber": "acquisitions",
    "ImageType": "types of image",
}


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in the order in which they lie.

    Args:
        slices: The slices.
        geometry: The grid: axes are columns (to the right of a slice), rows (downwards), slices; mm, LPS.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that hold them."""
        return tuple(dict.fromkeys(one.file for one in self.slices))


def stack_of(files: Sequence[tuple[str, Any]]) -> Stack:
    """Put the slices of a series in order.

    Args:
        files: Name and header of each file.

    Raises:
        DataError: If they are no volume: slices of different sizes or directions, the same slice twice, several volumes
            (4D), slices missing, uneven distances, or a tilted gantry. What was found, expected, and what to do.
    """
    _require_once(files)
    slices = slices_of(files)
    if not slices:
        raise DataError(f"{files[0][0]} has several frames and does not say where they lie. Export the series again.")
    named = [(str(one), one.header) for one in slices]
    directions = _shared(named, "ImageOrientationPatient", 6, 1e-4, "directions").reshape(2, 3)
    spacing = _shared(named, "PixelSpacing", 2, 1e-4, "edges of a pixel")  # between rows, between columns
    rows, columns = _sizes(named)
    _require_plane(named[0][0], directions, spacing)
    if len(slices) < 2:
        raise DataError(f"it has one slice, {slices[0]}; a volume has several. Is the export complete?")
    normal = np.cross(directions[0], directions[1])
    positions = np.stack([_position(name, header) for name, header in named])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    step = _step([named[place] for place in order], positions @ normal)
    _require_one_kind(named)
    _require_upright(named[0][1], positions, normal, spacing)
    axes = np.stack([directions[0], directions[1], normal], axis=1)
    geometry = Geometry((columns, rows, len(slices)), np.array([spacing[1], spacing[0], step]), axes, positions[0])
    problem = geometry.problem()
    if problem:
        raise DataError(problem)
    return Stack(tuple(slices[place] for place in order), geometry)


def _shared(files: Sequence[tuple[str, Any]], name: str, length: int, tolerance: float, what: str) -> np.ndarray:
    first = None
    for file, header in files:
        value = numbers_in(header, name, length)
        if value is None:
            raise DataError(f"{file} has no valid {name}, so its place in space is unknown. Export the series again.")
        first = (file, value) if first is None else first
        if np.abs(value - first[1]).max() > tolerance:
            raise DataError(
                f"its slices have different {what}: {first[0]} has {numbers(first[1])}, {file} {numbers(value)}; "
                "expected is one for all. Split the series, or name another one in series.csv."
            )
    assert first is not None
    return first[1]


def _require_plane(file: str, directions: np.ndarray, spacing: np.ndarray) -> None:
    """Refuse slices that have no plane: edges of pixels that are none, directions that are not at right angles."""
    if spacing.min() <= 0:
        raise DataError(f"{file} has pixels with edges of {numbers(spacing)} mm; expected are two above 0. {_AGAIN}")
    if np.abs(directions @ directions.T - np.eye(2)).max() > _RIGHT_ANGLE:
        raise DataError(
            f"{file} has the directions {numbers(directions.ravel())}; expected are two of length 1 at right angles. "
            f"{_AGAIN}"
        )


def _require_one_kind(files: Sequence[tuple[str, Any]]) -> None:
    """Refuse slices of different images that lie between each other, and MR images that are to be shown inverted."""
    first, its = files[0]
    for name in _IN_ALL:
        for file, header in files:
            if not _same(values(its, name), values(header, name)):
                raise DataError(
                    f"its slices are of different images: {first} has {name} {text(its, name) or 'empty'}, {file} "
                    f"{text(header, name) or 'empty'}; expected is one for all. Split the series, and give each image "
                    "a SeriesInstanceUID of its own."
                )
    if text(its, "PhotometricInterpretation") == "MONOCHROME1" and text(its, "Modality") == "MR":
        raise DataError(
            f"{first} is to be shown inverted (PhotometricInterpretation MONOCHROME1), so nobody can tell whether its "
            "large values are bright; expected is MONOCHROME2. Export the series again, or give it as NIfTI."
        )


def _same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether values are one; numbers within `SAME_TIME`."""
    if len(one) != len(other):
        return False
    try:
        return bool(np.allclose([float(value) for value in one], [float(value) for value in other], rtol=SAME_TIME))
    except ValueError:  # texts
        return list(one) == list(other)


def _sizes(files: Sequence[tuple[str, Any]]) -> tuple[int, int]:
    first = None
    for file, header in files:
        size = (int(number(header, "Rows") or 0), int(number(header, "Columns") or 0))
        first = (file, size) if first is None else first
        if not all(size) or size != first[1]:
            raise DataError(
                f"its slices have different sizes: {first[0]} has {first[1]} rows and columns, {file} {size}; expected "
                "is one for all. Split the series, or name another one in series.csv."
            )
    assert first is not None
    return first[1]


def _position(file: str, header: Any) -> np.ndarray:
    position = numbers_in(header, "ImagePositionPatient", 3)
    if position is None:
        raise DataError(
            f"{file} has no valid ImagePositionPatient, so its place in space is unknown. Export the series again."
        )
    return position


def _require_once(files: Sequence[tuple[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for name, header in files:
        uid = text(header, "SOPInstanceUID")
        if uid in seen:
            raise DataError(
                f"the same slice is there twice, as {seen[uid]} and {name} (SOPInstanceUID {uid}); expected is each "
                "once. Move the copies away."
            )
        seen[uid] = name


def _step(ordered: Sequence[tuple[str, Any]], places: np.ndarray) -> float:
    """The distance of the slices, mm."""
    distances = np.diff(places)
    apart = distances > SAME_PLACE * distances.max(initial=0.0)
    if not apart.all():
        raise DataError(_doubled(ordered, apart))
    usual = float(np.median(distances))
    worst = int(np.abs(distances - usual).argmax())
    if abs(distances[worst] - usual) > TOLERANCE * usual:
        raise DataError(_uneven(ordered, worst, float(distances[worst]), usual))
    return float(places[-1] - places[0]) / len(distances)


def _uneven(ordered: Sequence[tuple[str, Any]], worst: int, distance: float, usual: float) -> str:
    gap = f"between {ordered[worst][0]} and {ordered[worst + 1][0]} are {distance:.4g} mm, elsewhere {usual:.4g} mm"
    missing = round(distance / usual) - 1
    if missing > 0 and abs(distance / usual - missing - 1) < WHOLE:
        return f"slices are missing: {gap}, where {missing} more would lie. Export the series again as a whole."
    return (
        f"its slices are unevenly spaced: {gap}; expected is one distance. Export the series again, or resample it and "
        "give the NIfTI file."
    )


def _doubled(ordered: Sequence[tuple[str, Any]], apart: np.ndarray) -> str:
    place = int(np.argmin(apart))
    (one, first), (other, second) = ordered[place], ordered[place + 1]
    several = 1 + int(np.count_nonzero(apart))
    found = f"{len(ordered)} slices lie at {several} places, e.g. {one} and {other} at the same one"
    for name, what in _VOLUMES_DIFFER_IN.items():
        if values(first, name) != values(second, name):
            values_found = f"{name} {text(first, name) or 'empty'} and {text(second, name) or 'empty'}"
            return (
                f"it holds several volumes (4D): {found}, of different {what} ({values_found}); expected is one. "
                "Export the one that is meant as a series of its own."
            )
    return f"slices are there twice: {found}; expected is each place once. Move the copies away."


def _require_upright(first: Any, positions: np.ndarray, normal: np.ndarray, spacing: np.ndarray) -> None:
    """Refuse slices that are shifted against each other, as under a tilted gantry: ITK would shear the patient."""
    shift = positions[-1] - positions[0]
    sideways = float(np.linalg.norm(shift - (shift @ normal) * normal))
    tilt = number(first, "GantryDetectorTilt") or 0.0
    if sideways > TOLERANCE * float(spacing.min()):
        angle = float(np.degrees(np.arctan2(sideways, abs(shift @ normal))))
        known = f"; GantryDetectorTilt is {tilt:g}°" if tilt else ""
        raise DataError(
            f"its slices are shifted against each other by {sideways / (len(positions) - 1):.3g} mm each (a tilted "
            f"gantry, {angle:.2g}°{known}); expected is a stack at right angles. Export it reformatted, or resample it "
            "and give the NIfTI file."
        )
