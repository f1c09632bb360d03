"""The slices of a series, one by one, whether each has a file of its own or all of them one (enhanced, multi-frame).

In an enhanced object the values of a slice stand in nested groups, its own or shared (DICOM PS3.3 C.7.6.16). Here they
are laid out flat, under the names that they have in a file of one slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_hetero.intake.dicom.extra import require
from nnunet_hetero.intake.dicom.values import number, values

GROUPS = {
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    "InversionTime": ("MRModifierSequence", "InversionTimes"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
}
"""Name in a file of one slice → group and name in an enhanced object."""

CONVERTED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")
"""Where objects that were converted from single slices keep what has no group."""

PER_FRAME, SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice.

    Args:
        file: Name of its file.
        frame: Its number there, from 1.
        header: Its values, flat; a pydicom ``Dataset``.
        alone: Whether its file holds no other one.
    """

    file: str
    frame: int
    header: Any
    alone: bool = True

    def __str__(self) -> str:
        return self.file if self.alone else f"{self.file}, frame {self.frame}"


def slices_of(files: Sequence[tuple[str, Any]]) -> list[Slice]:
    """The slices in some files.

    Args:
        files: Name and header of each.
    """
    found: list[Slice] = []
    for name, header in files:
        frames = list(flat_headers(header))
        found += [Slice(name, place, frame, len(frames) == 1) for place, frame in enumerate(frames, 1)]
    return found


def flat_headers(header: Any) -> Iterator[Any]:
    """The header of each slice in a file; the file's own if there is no more than one.

    Args:
        header: Of the file.
    """
    if int(number(header, "NumberOfFrames") or 1) == 1 and PER_FRAME not in header:
        yield header
        return
    dataset = require("pydicom", "Reading DICOM").Dataset
    shared = header.get(SHARED) or [dataset()]
    for own in header.get(PER_FRAME) or ():
        flat = dataset()
        for keyword in header.dir():
            if keyword not in (PER_FRAME, SHARED):
                flat[keyword] = header[keyword]
        for keyword, value in _grouped((own, shared[0])).items():
            setattr(flat, keyword, value)
        yield flat


def _grouped(places: Sequence[Any]) -> dict[str, Any]:
    """The values of a slice from its own groups, else from the shared ones."""
    found: dict[str, Any] = {}
    for place in places:
        for keyword, (group, inner) in GROUPS.items():
            entries = [(group, inner), *((name, keyword) for name in CONVERTED)]
            for name, key in entries:
                item = (place.get(name) or [None])[0]
                if keyword not in found and item is not None and values(item, key):
                    found[keyword] = item.get(key)
    return found
