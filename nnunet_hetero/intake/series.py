"""A row of ``series.csv``: one image or series of a case, and what it is taken for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ZIP = ".zip"


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
    """

    case: str
    source: str
    modality: str
    confidence: str
    why: str
    may_be: tuple[str, ...] = ()

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


def is_uid(text: str) -> bool:
    """Whether a text may be a SeriesInstanceUID: digits and dots alone."""
    return bool(text) and not text.strip("0123456789.")


def parts_of(source: str) -> tuple[str, str]:
    """`Series.place` and `Series.inner`; folders and files may have a ``#`` in their names, too.

    Examples:
        >>> parts_of("Case #7/Series #2#1.2.840.7"), parts_of("Case #7.zip#T1 #3.nii.gz"), parts_of("Case #7/t1.nii.gz")
        (('Case #7/Series #2', '1.2.840.7'), ('Case #7.zip', 'T1 #3.nii.gz'), ('Case #7/t1.nii.gz', ''))
    """
    place, joint, uid = source.rpartition("#")
    if joint and is_uid(uid):
        return place, uid
    end = source.lower().find(f"{ZIP}#")
    if end >= 0:
        return source[: end + len(ZIP)], source[end + len(ZIP) + 1 :]
    return source, ""


def by_case(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Case → its series, in their order."""
    found: dict[str, list[Series]] = {}
    for one in series:
        found.setdefault(one.case, []).append(one)
    return found
