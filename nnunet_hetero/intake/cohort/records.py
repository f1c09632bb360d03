"""What an intake leaves beside the images, so that a later run can continue and results find their way back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.images.grids import StoredGrid
from nnunet_hetero.intake.registration.register import Registration
from nnunet_hetero.intake.series import Series
from nnunet_hetero.intake.target import Target
from nnunet_hetero.io.atomic_files import replace_json, replace_text
from nnunet_hetero.io.documents import Document

INTAKE_NAME, TABLE_NAME, SERIES_NAME = "intake.json", "intake.csv", "series.csv"
IMAGES, TRANSFORMS, PICTURES, CASES = "images", "transforms", "qc", "cases"
"""Folders below the output folder."""

FAILED, NOT_USED = "case failed", "not used"


class FoundRegistration(TypedDict):
    """`Registration` without its transform, which has a file of its own."""

    metric_before: float
    metric_after: float
    shift_mm: float
    degrees: float
    overlap: float
    disagreement_mm: float
    inside_mm: float


class ImageRecord(TypedDict):
    """What became of an image of a case."""

    source: str
    became: str
    file: str | None
    grid: StoredGrid | None
    frame_of_reference: str | None
    registration: FoundRegistration | None
    doubt: str
    notes: list[str]


class CaseRecord(TypedDict):
    """What a case was made from, and where its images lay."""

    case: str
    reference: str
    images: dict[str, ImageRecord]
    made_from: dict[str, Any]


class IntakeRecord(TypedDict):
    """What holds for all cases of an output folder."""

    input: str
    modalities: list[str]
    file_ending: str
    orientation: str | None
    regions: dict[str, int | list[int]]


_AGAIN = "Run nnunet_hetero intake again."
CASE = Document(CaseRecord, "the record of a case that nnunet_hetero intake wrote", _AGAIN)
INTAKE = Document(IntakeRecord, "the record that nnunet_hetero intake wrote", _AGAIN)

COLUMNS = (
    *("case", "source", "modality", "became", "file", "metric_before", "metric_after", "shift_mm", "degrees"),
    *("overlap", "disagreement_mm", "inside_mm", "doubt", "why"),
)


def found_registration(registration: Registration | None) -> FoundRegistration | None:
    """A registration for a JSON file."""
    if registration is None:
        return None
    return {
        "metric_before": registration.before,
        "metric_after": registration.after,
        "shift_mm": registration.shift,
        "degrees": registration.degrees,
        "overlap": registration.overlap,
        "disagreement_mm": registration.disagreement,
        "inside_mm": registration.inside,
    }


def settle(out: Path, folder: Path, target: Target) -> None:
    """Write what holds for all cases, or refuse a folder that holds an intake for another model.

    Args:
        out: The output folder.
        folder: The input folder.
        target: What the model wants.

    Raises:
        DataError: If it is another one than before.
    """
    regions = {name: value if isinstance(value, int) else list(value) for name, value in target.regions.items()}
    record: IntakeRecord = {
        "input": str(folder.resolve()),
        "modalities": list(target.modalities.names),
        "file_ending": target.file_ending,
        "orientation": target.orientation,
        "regions": regions,
    }
    before = INTAKE.or_aside(out / INTAKE_NAME)
    for key in ("input", "modalities", "file_ending", "orientation"):
        if before is not None and before[key] != record[key]:  # type: ignore[literal-required]
            raise DataError(
                f"{out} holds an intake with another {key.replace('_', ' ')}: {before[key]}, now "  # type: ignore[literal-required]
                f"{record[key]}. Choose another output folder."  # type: ignore[literal-required]
            )
    if before != record:
        replace_json(out / INTAKE_NAME, record)


def case_record(out: Path, case: str) -> CaseRecord | None:
    """The record of a case; None if there is none, or a damaged one, which is put aside."""
    return CASE.or_aside(out / CASES / f"{case}.json")


def transform_file(case: str, modality: str) -> Path:
    """Where a transform is kept, below the output folder."""
    return Path(TRANSFORMS) / case / f"{modality.replace('/', '_')}.tfm"


def write_table(out: Path, series: Iterable[Series], failed: Mapping[str, str]) -> None:
    """Write ``intake.csv``: what became of every image.

    Args:
        out: The output folder.
        series: All rows of ``series.csv``.
        failed: Why cases failed.
    """
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    records: dict[str, CaseRecord | None] = {}
    for one in series:
        if one.case not in records:
            records[one.case] = None if one.case in failed else case_record(out, one.case)
        writer.writerow(_row(one, records[one.case], failed.get(one.case)))
    replace_text(out / TABLE_NAME, stream.getvalue())


def _row(series: Series, record: CaseRecord | None, failure: str | None) -> dict[str, str]:
    row = {"case": series.case, "source": series.source, "modality": series.modality, "why": series.why}
    if not series.is_used:
        return {**row, "became": NOT_USED}
    image = record["images"].get(series.modality) if record is not None else None
    if image is None:
        return {**row, "became": FAILED, "why": failure or "not done yet"}
    found = image["registration"]
    numbers = {} if found is None else {name: f"{value:.4g}" for name, value in found.items()}
    return {
        **row,
        "became": image["became"],
        "file": image["file"] or "",
        "doubt": image["doubt"],
        "why": "; ".join([series.why, *image["notes"]]),
        **numbers,
    }
