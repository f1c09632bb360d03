"""A row of ``series.csv``: one image or series of a case, and what it is taken for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nnunet_hetero.intake.files.sources import parts_of


@dataclass(frozen=True)
class Series:
    """One image of a case.

    Args:
        case: Name of the case.
        source: Path below the input folder, with ``/``. Of a DICOM series the folder or zip, ``#`` and its
            SeriesInstanceUID; of another file in a zip the zip, ``#`` and its name there.
        modality: Name of the model's modality; empty if it is not used.
        confidence: How sure that is: ``sure``, ``likely``, ``doubtful``, or ``given`` by the user.
        why: In words.
        may_be: Of one that is not used: modalities that it could be.
        own_case: Of one that the user's table takes to another case: the name of its own folder or zip.
    """

    case: str
    source: str
    modality: str
    confidence: str
    why: str
    may_be: tuple[str, ...] = ()
    own_case: str = ""

    @property
    def is_used(self) -> bool:
        """Whether it is one of the case's modalities."""
        return bool(self.modality)

    @property
    def place(self) -> str:
        """File, folder or zip, below the input folder."""
        return parts_of(self.source)[0]

    @property
    def inner(self) -> str:
        """SeriesInstanceUID or name in the zip; empty for a file."""
        return parts_of(self.source)[1]


def by_case(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Case → its series, in their order."""
    found: dict[str, list[Series]] = {}
    for one in series:
        found.setdefault(one.case, []).append(one)
    return found
