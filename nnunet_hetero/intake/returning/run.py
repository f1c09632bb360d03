"""``nnunet_hetero return``: the results of all cases, and how much their volumes have changed on the way.

A stopped run continues where it was: a case that is there as a whole, and would be made from the same files in the same
way, is kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.output.run_record import FAILED_NAME, record_failures
from nnunet_hetero.intake.cohort.records import CASES, INTAKE, INTAKE_NAME, CaseRecord, case_record
from nnunet_hetero.intake.returning.one_case import ALL, REFERENCE, ReturnJob, return_case
from nnunet_hetero.intake.returning.record import Volumes, volumes_of_before
from nnunet_hetero.intake.returning.results import find_results, other_label_maps
from nnunet_hetero.io.atomic_files import alone_in, clear_drafts, replace_text
from nnunet_hetero.io.places import require_apart, require_no_model_or_data_set
from nnunet_hetero.io.processes import Workers
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.regions import Region

VOLUMES_NAME = "volumes.csv"
COLUMNS = ("case", "to", "region", "ml_before", "ml_after", "difference_ml", "difference_percent")

STEP = "return"

TOLD_SHARE, TOLD_MILLILITRES = 0.05, 0.5
"""A volume that has changed by more than both is told of."""


@dataclass(frozen=True)
class Returned:
    """What a return did.

    Args:
        volumes: Of the cases that are in place, those of earlier runs included, by region and image.
        kept: Those of them that an earlier run has done.
        failed: Why cases failed.
    """

    volumes: dict[str, list[Volumes]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> list[str]:
        """The cases that are in place."""
        return sorted(self.volumes)


def return_cases(
    intake: Path, predictions: Path, back: Path, to: str, num_processes: int = 0, dicom_seg: bool = False
) -> Returned:
    """Bring the results of all cases back.

    Args:
        intake: Output folder of ``nnunet_hetero intake``.
        predictions: Folder of results.
        back: Folder to write to: one folder per case, ``volumes.csv`` and, if cases failed, ``failed.json``.
        to: Modality, ``all`` or ``reference``.
        num_processes: Background processes; 0 works in this one.
        dicom_seg: Whether to write DICOM Segmentations too, for the images that were DICOM series.

    Raises:
        DataError: If a folder is not what it must be.
        SettingsError: If the output folder lies among the inputs, or another process is at work there.
    """
    if not predictions.is_dir():
        raise DataError(f"The folder of predictions {predictions} does not exist. Give it with --predictions.")
    if not (intake / INTAKE_NAME).is_file():
        raise DataError(f"{intake} has no {INTAKE_NAME}, so it is no output folder of nnunet_hetero intake.")
    require_no_model_or_data_set(back)
    require_apart([back], {"--intake": intake, "--predictions": predictions})
    settled = INTAKE.read(intake / INTAKE_NAME)
    regions: dict[str, Region] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settled["regions"].items()
    }
    modalities = Modalities(tuple(settled["modalities"]))
    to = to if to in (ALL, REFERENCE) else modalities.names[modalities.index(to)]
    records = _records(intake)
    ending = settled["file_ending"]
    results = find_results(predictions, list(records), settled["modalities"], ending)
    jobs = [
        ReturnJob(intake, record, results[case], back, to, regions, predictions, Path(settled["input"]), dicom_seg)
        for case, record in records.items()
    ]
    back.mkdir(parents=True, exist_ok=True)
    with alone_in(back):
        clear_drafts(back)
        result = Returned()
        for case in other_label_maps(predictions, list(records), ending):
            result.failed[case] = f"Case '{case}' has a label map in {predictions}, but {intake} knows no such case."
        _return_all(jobs, result, num_processes)
        (back / FAILED_NAME).unlink(missing_ok=True)
        for case, reason in result.failed.items():
            print(f"Left out: {reason}", flush=True)
            record_failures(back, {case: Failure(STEP, reason)})
        _write_volumes(back / VOLUMES_NAME, result.volumes)
    return result


def _return_all(jobs: Sequence[ReturnJob], result: Returned, num_processes: int) -> None:
    with Workers(min(num_processes, len(jobs))) as workers:
        for job in jobs:
            before = _of_before(job)
            if before is None:
                workers.submit(job, return_case, job)
            else:
                result.volumes[job.case] = before
                result.kept.append(job.case)
            if len(workers) > 2 * workers.num_processes:
                _settle_oldest(workers, result)
        while workers:
            _settle_oldest(workers, result)


def _of_before(job: ReturnJob) -> list[Volumes] | None:
    try:
        return volumes_of_before(job.back / job.case, job.made_from())
    except SettingsError:  # the case has no such image, which doing it says
        return None


def _records(intake: Path) -> dict[str, CaseRecord]:
    names = sorted(file.stem for file in (intake / CASES).glob("*.json"))
    records = {name: case_record(intake, name) for name in names}
    found = {name: record for name, record in records.items() if record is not None}
    if not found:
        raise DataError(f"{intake} has no case that was prepared. Run nnunet_hetero intake first.")
    return found


def _settle_oldest(workers: Workers, result: Returned) -> None:
    job, outcome = workers.pop()
    if outcome.error is not None:
        result.failed[job.case] = outcome.error
        return
    result.volumes[job.case] = outcome.result
    print(f"{job.case}: on {', '.join(dict.fromkeys(one.to for one in outcome.result))}", flush=True)
    for one in outcome.result:
        change = one.after - one.before
        if abs(change) > max(TOLD_MILLILITRES, TOLD_SHARE * one.before):
            print(
                f"  {one.region} has {one.after:.1f} ml on {one.to}, {one.before:.1f} ml where it was segmented: thick "
                "slices round it, or a part lies outside of that image.",
                flush=True,
            )


def _write_volumes(file: Path, volumes: Mapping[str, list[Volumes]]) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for case, rows in sorted(volumes.items()):
        for one in rows:
            change = one.after - one.before
            percent = f"{100 * change / one.before:.2f}" if one.before else ""
            writer.writerow(
                [case, one.to, one.region, f"{one.before:.6g}", f"{one.after:.6g}", f"{change:.6g}", percent]
            )
    replace_text(file, stream.getvalue())
