"""``nnunet_hetero intake``: all cases of a folder, side by side; a stopped run continues where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_hetero.cases.naming.spelling import spelled_otherwise
from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.output.run_record import record_failures
from nnunet_hetero.intake.case_names import problem_of_name
from nnunet_hetero.intake.cohort.records import CASES, SERIES_NAME, CaseRecord, case_record, settle, write_table
from nnunet_hetero.intake.cohort.write_case import CaseJob, in_words, remove_case, write_case
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.options import IntakeOptions
from nnunet_hetero.intake.proposal.verdict import GIVEN
from nnunet_hetero.intake.series import Series, by_case
from nnunet_hetero.intake.series_table import read_series, write_series
from nnunet_hetero.intake.target import Target
from nnunet_hetero.io.atomic_files import alone_in, clear_drafts
from nnunet_hetero.io.places import require_apart, require_no_model_or_data_set
from nnunet_hetero.io.processes import Workers, new_workers
from nnunet_hetero.io.provenance import Provenance

STEP = "intake"
"""What ``failed.json`` calls it."""


@dataclass(frozen=True)
class Intake:
    """What an intake did.

    Args:
        done: Cases that are in place, those of earlier runs included.
        kept: Those of them that an earlier run has done.
        failed: Why cases failed.
        left_out: Cases of which the user's table uses nothing.
        doubtful: Cases that are in place with an image whose place in space is to be looked at.
    """

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


def proposed_series(folder: Path, out: Path, target: Target, table: Path | None) -> list[Series]:
    """Which image is which: by the user's table, or by a proposal, which is written.

    Args:
        folder: The input folder.
        out: The output folder; the proposal is its `SERIES_NAME`.
        target: What the model wants.
        table: The user's; None for none.

    Raises:
        SettingsError: If the output folder holds a table that has been changed, and it is not given as ``table``.
        DataError: If the input folder or the table is not what it must be.
    """
    if table is not None:
        return read_series(table, folder, target.modalities)
    series = find_series(folder, target.modalities)
    file = out / SERIES_NAME
    before = file.read_bytes() if file.is_file() else None
    draft = out / f".{SERIES_NAME}"
    write_series(draft, series)
    try:
        if before not in (None, draft.read_bytes()):
            raise SettingsError(
                f"{file} is not what would be proposed now. If you have corrected it, give it with --series {file}; "
                "if images have been added or taken away, delete it."
            )
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return series


def take_in(
    series: Sequence[Series],
    folder: Path,
    out: Path,
    target: Target,
    options: IntakeOptions,
    num_processes: int = 0,
) -> Intake:
    """Prepare all cases.

    Args:
        series: Which image is which.
        folder: The input folder.
        out: The output folder.
        target: What the model wants.
        options: How.
        num_processes: Background processes; 0 works in this one.

    Raises:
        DataError: If the output folder holds an intake for another model or from another folder.
        SettingsError: If another process is at work there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out):
        clear_drafts(out)
        settle(out, folder, target)
        result = Intake()
        jobs = [CaseJob(case, tuple(rows), folder, out, target, options) for case, rows in by_case(series).items()]
        try:
            _take_all(jobs, result, num_processes)
        finally:
            write_table(out, series, result.failed)
    _tell_others(out, {job.case for job in jobs})
    return result


def require_places(folder: Path, out: Path) -> None:
    """Refuse an output folder among the inputs, or one that is a model or a data set.

    Raises:
        SettingsError: If it is one.
    """
    require_no_model_or_data_set(out)
    require_apart([out], {"-i": folder})


def _take_all(jobs: Sequence[CaseJob], result: Intake, num_processes: int) -> None:
    alike = spelled_otherwise(job.case for job in jobs)
    with new_workers(min(num_processes, len(jobs))) as workers:
        for job in jobs:
            problem = problem_of_name(job.case, alike.get(job.case))
            if problem is not None:
                reason = (
                    f"Case {job.case!r}: {problem}. Rename its folder, or write another name into the column case of "
                    "series.csv, and give the table back with --series."
                )
                result.failed[job.case] = reason
                record_failures(job.out, {job.case: Failure(STEP, reason)})
                print(f"Left out: {reason}", flush=True)
            elif not job.used and all(row.confidence == GIVEN for row in job.series):
                remove_case(job.out, job.case, job.target)
                record_failures(job.out, {job.case: None})
                result.left_out.append(job.case)
            elif (record := _done_before(job)) is not None:
                record_failures(job.out, {job.case: None})
                _note_done(job.case, record, result)
                result.kept.append(job.case)
            else:
                workers.submit(job, write_case, job)
            if len(workers) > 2 * workers.num_processes:
                _settle_oldest(workers, result, len(jobs))
        while workers:
            _settle_oldest(workers, result, len(jobs))


def _settle_oldest(workers: Workers, result: Intake, total: int) -> None:
    job, outcome = workers.pop()
    number = len(result.done) + len(result.failed) + len(result.left_out) + 1
    if outcome.error is None:
        _note_done(job.case, outcome.result, result)
        words = in_words(outcome.result, job.target.modalities.names)
        print(f"[{number}/{total}] {words}", flush=True)
        for name, image in outcome.result["images"].items():
            for note in [*([f"DOUBTFUL: {image['doubt']}"] if image["doubt"] else []), *image["notes"]]:
                print(f"  {name}: {note}", flush=True)
    else:
        result.failed[job.case] = outcome.error
        remove_case(job.out, job.case, job.target)
        print(f"[{number}/{total}] Left out: {outcome.error}", flush=True)
    record_failures(job.out, {job.case: None if outcome.error is None else Failure(STEP, outcome.error)})


def _note_done(case: str, record: CaseRecord, result: Intake) -> None:
    result.done.append(case)
    if any(image["doubt"] for image in record["images"].values()):
        result.doubtful.append(case)


def _done_before(job: CaseJob) -> CaseRecord | None:
    """The record of a case that an earlier run has done and that would become the same now."""
    record = case_record(job.out, job.case)
    if record is None:
        return None
    files = [image["file"] for image in record["images"].values() if image["file"]]
    if not all((job.out / file).is_file() for file in files):
        return None
    try:
        difference = job.made_from().difference(Provenance.from_json(record["made_from"]))
    except DataError:  # a mask that is gone
        return None
    return record if difference is None else None


def _tell_others(out: Path, cases: set[str]) -> None:
    others = sorted(file.stem for file in (out / CASES).glob("*.json") if file.stem not in cases)
    if others:
        print(f"WARNING: {out} also holds {len(others)} case(s) that are not in the input folder, e.g. {others[0]}.")
