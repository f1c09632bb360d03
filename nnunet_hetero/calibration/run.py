"""Calibrate a model: collect, fit, write."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from nnunet_hetero.calibration.collect import Collection, collect
from nnunet_hetero.calibration.fit import (
    fitted_input_checks,
    fitted_scores,
    fitted_temperatures,
    observations,
    of_several_folds,
)
from nnunet_hetero.calibration.quality_scores import predicted_by_region, quality_table
from nnunet_hetero.calibration.records import CaseRecord, Row
from nnunet_hetero.calibration.report import write_calibration_report
from nnunet_hetero.calibration.request import CalibrationRequest
from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.model.model_folder import checked_folds
from nnunet_hetero.io.atomic_files import alone_in, replace_text
from nnunet_hetero.reliability.calibration_file import Calibration
from nnunet_hetero.reliability.conformal import patients_needed
from nnunet_hetero.reliability.input_verdict import InputVerdict
from nnunet_hetero.reliability.quality import fit_quality
from nnunet_hetero.version import __version__

ROWS_FILE, QUALITY_FILE = "rows.csv", "quality.csv"

SHOWN = 5
"""Names or reasons in a message."""


@dataclass(frozen=True)
class CalibrationResult:
    """What `calibrate_model` found and wrote.

    Args:
        file: ``calibration.json``.
        calibration: Its content.
        rows: Of all cases that count.
        records: Of all cases that count.
        failed: By case, why it does not count.
        left_out: Patients that do not count: a fold has trained on some of their cases and would predict others, or
            several folds predict them.
        suspicious: What the checks of the input would say of cases that seem wrong, judged by all others, by case.
        subsets: Labels of those that the model can be given.
        without_row: Cases that ``cases.csv``, if it is there, says nothing of.
    """

    file: Path
    calibration: Calibration
    rows: list[Row]
    records: list[CaseRecord]
    failed: dict[str, str]
    left_out: list[str]
    suspicious: dict[str, list[InputVerdict]]
    subsets: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)


def calibrate_model(request: CalibrationRequest) -> CalibrationResult:
    """Predict cases that the model has not seen from every subset of their modalities, and write ``calibration.json``.

    Args:
        request: Which model, and which cases.

    Raises:
        SettingsError: If the model or a fold does not exist, or has seen the cases.
        DataError: If there are no cases, a label map is missing, or no case could be used.
    """
    # First, so that nothing is written into the folder of a model that is not there.
    checked_folds(request.model_folder, request.folds, request.checkpoint_name)
    request.folder.mkdir(exist_ok=True)
    with alone_in(request.folder):
        collection = collect(request)
        return _fitted(request, collection)


def _fitted(request: CalibrationRequest, collection: Collection) -> CalibrationResult:
    left_out = collection.seen | of_several_folds(_rows(list(collection.records.values())))
    records = [record for record in collection.records.values() if record.rows[0]["patient"] not in left_out]
    if not records:
        reasons = [f"  {reason}" for reason in islice(collection.failed.values(), SHOWN)]
        if len(collection.failed) > SHOWN:
            reasons.append(f"  and {len(collection.failed) - SHOWN} more cases")
        if left_out:
            reasons.append(f"  {in_words(sorted(left_out))}")
        if not reasons:
            folds = ", ".join(collection.model.weights)
            reasons = [
                f"  Fold(s) {folds} have no validation cases in nnU-Net's splits_final.json. Choose others with -f, or "
                "give labelled cases that the model has not seen with -i and -l."
            ]
        raise DataError("\n".join(["No case is left to calibrate on.", *reasons]))
    rows = _rows(records)
    observed = observations(rows, collection.modalities)
    quality = fit_quality(observed)
    input_checks, suspicious = fitted_input_checks(records, collection.modalities)
    # Without latents nothing says in which cases the model is less sure.
    by_disagreement = request.by_disagreement and collection.model.num_samples > 0
    calibration = Calibration(
        version=__version__,
        model=collection.model,
        together=collection.together,
        level=request.level,
        joint=request.joint,
        by_disagreement=by_disagreement,
        modalities=collection.modalities,
        patients=len({row["patient"] for row in rows}),
        scores=fitted_scores(rows, collection.regions, by_disagreement, request.joint),
        temperatures=fitted_temperatures(records, collection.regions),
        quality=quality or None,
        input_checks=input_checks,
    )
    replace_text(request.folder / ROWS_FILE, _as_csv(rows))
    predicted = predicted_by_region(observed, quality)
    replace_text(request.folder / QUALITY_FILE, quality_table(predicted))
    # Before the page, which only shows it.
    file = calibration.write(Path(request.model_folder))
    write_calibration_report(request.folder, calibration, rows, records, predicted)
    found = file, calibration, rows, records, collection.failed, sorted(left_out), suspicious
    return CalibrationResult(*found, collection.subsets, collection.without_row)


def in_words(left_out: Sequence[str]) -> str:
    """Why patients do not count, with the names of a few."""
    more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return (
        f"{len(left_out)} patient(s) do not count: {', '.join(left_out[:SHOWN])}{more}. They have cases in several "
        "folds, so a fold has trained on a patient whom it would predict. 'nnunet_hetero splits' keeps the cases of a "
        "patient together."
    )


def without_interval(calibration: Calibration, subsets: Sequence[str]) -> dict[str, int]:
    """Subsets that have too few patients for an interval of the level, and how many they have.

    Args:
        calibration: What was found.
        subsets: Labels of those that the model can be given.
    """
    needed = patients_needed(calibration.level)
    patients = dict.fromkeys(subsets, 0)
    for of_subsets in calibration.scores.values():
        for subset, of_folds in of_subsets.items():
            patients[subset] = sum(map(len, of_folds.values()))
    return {subset: number for subset, number in patients.items() if number < needed}


def _rows(records: Sequence[CaseRecord]) -> list[Row]:
    rows: list[Row] = []
    for record in records:
        rows += record.rows
    return rows


def _as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Row.__annotations__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
