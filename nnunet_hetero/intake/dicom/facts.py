"""From the headers of a series to what a proposal needs to know of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnunet_hetero.intake.proposal.sequences import SeriesFacts

SAME_DIRECTION = 1e-2
"""Directions that differ by less, in each cosine, are one orientation."""


def facts_of(headers: Sequence[Any], folder: str) -> SeriesFacts:
    """What the headers of a series say.

    Args:
        headers: Its pydicom datasets; what all should share is taken from the first.
        folder: Name of the folder that they lie in.
    """
    first = headers[0]
    return SeriesFacts(
        modality=text(first, "Modality").upper(),
        images=sum(int(number(header, "NumberOfFrames") or 1) for header in headers),
        orientations=_orientations(headers),
        description=text(first, "SeriesDescription"),
        protocol=text(first, "ProtocolName"),
        folder=folder,
        image_type=tuple(value.upper() for value in values(first, "ImageType")),
        scanning_sequence=tuple(value.upper() for value in values(first, "ScanningSequence")),
        echo_time=number(first, "EchoTime"),
        repetition_time=number(first, "RepetitionTime"),
        inversion_time=number(first, "InversionTime"),
        b_value=max((number(header, "DiffusionBValue") or 0.0 for header in headers), default=None),
        agent=text(first, "ContrastBolusAgent"),
        body_part=text(first, "BodyPartExamined"),
    )


def text(header: Any, name: str) -> str:
    """A value as text; empty if it is not there or cannot be read."""
    return " ".join(values(header, name))


def number(header: Any, name: str) -> float | None:
    """A value as a number, the first if there are several; None if it is none."""
    found = values(header, name)
    try:
        return float(found[0]) if found else None
    except ValueError:
        return None


def numbers(header: Any, name: str, length: int) -> np.ndarray | None:
    """A value of several finite numbers, ``(length,)``; None if it is none."""
    try:
        found = np.array([float(value) for value in values(header, name)])
    except ValueError:
        return None
    return found if found.shape == (length,) and np.isfinite(found).all() else None


def values(header: Any, name: str) -> list[str]:
    """The values of an element, as texts without blanks around; none if it is not there or cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of values that the standard does not allow
            value = header.get(name)
    except Exception:  # a value that cannot be decoded; pydicom has no class for it
        return []
    if value is None or value == "":
        return []
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    return [str(entry).strip() for entry in value] if several else [str(value).strip()]


def _orientations(headers: Sequence[Any]) -> int:
    found: list[np.ndarray] = []
    for header in headers:
        cosines = numbers(header, "ImageOrientationPatient", 6)
        if cosines is not None and not any(np.abs(cosines - other).max() < SAME_DIRECTION for other in found):
            found.append(cosines)
    return max(1, len(found))
