"""Whether the images of a case may be used as they are proposed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.scan import headers_of
from nnunet_hetero.intake.dicom.values import text
from nnunet_hetero.intake.proposal.verdict import GIVEN
from nnunet_hetero.intake.series import Series, by_case
from nnunet_hetero.intake.session import sessions_apart
from nnunet_hetero.modalities import Modalities

SHOWN = 3
"""Images that a message names."""


def require_decided(series: Sequence[Series], modalities: Modalities) -> None:
    """Refuse a case that lacks a modality while an image lies there that could be it.

    Args:
        series: All rows of the case.
        modalities: The model's.

    Raises:
        DataError: If the user has to decide, or if the case has no modality at all.
    """
    used = {row.modality for row in series}
    for name in modalities.names:
        possible = [row for row in series if name in row.may_be and row.confidence != GIVEN]
        if name in used or not possible:
            continue
        more = f" ({len(possible) - 1} more may be it)" if len(possible) > 1 else ""
        raise DataError(
            f"Case '{series[0].case}' has no {name}, but {possible[0].source} could be it{more}: "
            f"{possible[0].why.rstrip('.')}. "
            "Say what it is: write its modality into series.csv, or leave it empty if it is none, and give the table "
            "back with --series."
        )
    if not any(row.is_used for row in series):
        found = "; ".join(f"{row.source} ({row.why})" for row in series[:SHOWN])
        more = f"; and {len(series) - SHOWN} more" if len(series) > SHOWN else ""
        raise DataError(
            f"Case '{series[0].case}' has no image that is one of the modalities {', '.join(modalities.names)}. Found: "
            f"{found}{more}. If one of them is, write the modality into series.csv, and give the table back with "
            "--series; if it is no case at all, move it away."
        )


def passed_over(series: Sequence[Series]) -> list[tuple[Series, list[str]]]:
    """Images that the user's table leaves empty although they could be what their case lacks, with what that is.

    Args:
        series: All rows, of any case; those that no user has decided do not count, see `require_decided`.
    """
    found = []
    for rows in by_case(series).values():
        used = {row.modality for row in rows}
        for row in rows:
            lacking = [name for name in row.may_be if name not in used]
            if row.confidence == GIVEN and lacking:
                found.append((row, lacking))
    return found


@dataclass(frozen=True)
class Person:
    """Whom a DICOM image shows; what its header does not say is empty.

    Args:
        number: PatientID.
        born: PatientBirthDate.
        name: PatientName, letters and digits alone.
    """

    number: str
    born: str = ""
    name: str = ""

    @classmethod
    def of_header(cls, header: Any) -> Person:
        """From a header."""
        name = "".join(letter for letter in text(header, "PatientName").casefold() if letter.isalnum())
        return cls(text(header, "PatientID"), text(header, "PatientBirthDate"), name)

    def difference(self, other: Person) -> str | None:
        """Why another one is somebody else, in words; None if nothing says so.

        Names are written in several ways, so they count only where a number lacks; and they are not told.
        """
        if self.number and other.number and self.number != other.number:
            return f"the PatientIDs '{self.number}' and '{other.number}'"
        if self.born and other.born and self.born != other.born:
            return f"the PatientBirthDates {self.born} and {other.born}"
        if not (self.number and other.number) and self.name and other.name and self.name != other.name:
            return "different PatientNames, and not both a PatientID"
        return None


def taken_elsewhere(series: Sequence[Series]) -> dict[tuple[str, str], list[Series]]:
    """Images that the user's table takes to another case: their own case and that one → the rows.

    Meant or not: a spreadsheet makes 1 of 001.

    Args:
        series: All rows, of any case.
    """
    found: dict[tuple[str, str], list[Series]] = {}
    for row in series:
        if row.own_case:
            found.setdefault((row.own_case, row.case), []).append(row)
    return found


def require_one_patient(series: Sequence[Series], folder: Path) -> None:
    """Refuse a case whose DICOM series are of different patients, see `Person`.

    Args:
        series: Rows of the case; those that are not used do not count.
        folder: The input folder.

    Raises:
        DataError: If there are several.
    """
    known: dict[Person, Series] = {}
    for row in series:
        for person in _persons(row, folder) if row.is_used else ():
            known.setdefault(person, row)
    for (one, its), (other, others) in itertools.combinations(known.items(), 2):
        difference = one.difference(other)
        if difference is not None:
            raise DataError(
                f"Case '{series[0].case}' has images of different patients: {its.source} and {others.source} have "
                f"{difference}. Put each patient into a folder of its own; if they are one, say so with "
                "--several-patients."
            )


def require_one_session(series: Sequence[Series], folder: Path) -> None:
    """Refuse a case whose images were taken on different days: what has grown or was cut out since is in some only.

    Args:
        series: Rows of the case; those that are not used do not count.
        folder: The input folder.

    Raises:
        DataError: If there are such images.
    """
    apart = sessions_apart([row for row in series if row.is_used], folder)
    if apart is not None:
        (one, when), (other, then) = apart
        raise DataError(
            f"Case '{series[0].case}' has images of different sessions: {one.source} is of {when}, {other.source} of "
            f"{then}. Put each session into a folder of its own; if they belong together, say so with "
            "--several-sessions."
        )


def _persons(row: Series, folder: Path) -> list[Person]:
    headers = headers_of(row.place, row.inner, folder)
    return list(dict.fromkeys(map(Person.of_header, headers)))
