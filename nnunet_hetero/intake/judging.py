"""Whether the images of a case may be used as they are proposed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.scan import headers_of
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


def require_one_patient(series: Sequence[Series], folder: Path) -> None:
    """Refuse a case whose DICOM series are of different patients, by PatientID.

    Args:
        series: Rows of the case; those that are not used do not count.
        folder: The input folder.

    Raises:
        DataError: If there are several.
    """
    patients: dict[str, Series] = {}
    for row in series:
        for patient in sorted(_patients(row, folder)) if row.is_used else ():
            patients.setdefault(patient, row)
    if len(patients) > 1:
        (one, its), (other, others) = list(patients.items())[:2]
        raise DataError(
            f"Case '{series[0].case}' has images of different patients: {its.source} is of PatientID '{one}', "
            f"{others.source} of '{other}'. Put each patient into a folder of its own; if they are one, say so with "
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


def _patients(row: Series, folder: Path) -> set[str]:
    return {str(header.get("PatientID") or "").strip() for header in headers_of(row.place, row.inner, folder)} - {""}
