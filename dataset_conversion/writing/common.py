"""What all converters share: cases are checked and written in parallel, and the bad ones are gathered."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nnunet_hetero.cases.geometry import Geometry, header_doubts
from nnunet_hetero.cases.image_values import absence, doubts
from nnunet_hetero.cases.label_maps.labels import known_labels
from nnunet_hetero.cases.orientation import most_common
from nnunet_hetero.cases.raw_dataset import ABSENT, CASE_TABLE, IGNORE
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.atomic_files import alone_in
from nnunet_hetero.io.processes import are_replaced, new_workers, outcomes_in_order

from .cases import TEST, TRAINING, CaseRecord, RawCase, check_names, refuse_shared_files, write_case_table
from .dataset import FILE_ENDING, DatasetSpec, LabelScheme, begin, check_folder, dataset_json, finish, unseen_labels
from .images import encode_nifti, read_image, write_atomically
from .made_from import MadeFrom, change_since, made_from, read_record, record_file
from .orientation import brought_to, orientations_of_raw_cases
from .summary import SUMMARY_FILE, ConversionSummary, nowhere, summary_table
from .unlabelled import REFUSED, REMEDY, TEST_CASES, background_outside, ignore_value, with_ignore_label

DEFAULT_PROCESSES = max(1, min(8, os.cpu_count() or 1))


@dataclass(frozen=True)
class _Job:
    case: RawCase
    spec: DatasetSpec
    folder: Path
    test: bool  # goes to imagesTs, and its label to labelsTs
    dry_run: bool
    orientation: str | None  # that of all cases; None if it is not known, since no header can be read
    is_turned: bool  # whether the case has another one


@dataclass(frozen=True)
class _Outcome:
    case: RawCase
    test: bool
    failure: str | None = None
    made: MadeFrom | None = None  # None after a failure
    reused: bool = False
    redone: str | None = None  # why an earlier result was not kept


def convert_cohort(
    folder: Path,
    spec: DatasetSpec,
    cases: Sequence[RawCase],
    processes: int = DEFAULT_PROCESSES,
    unlabelled: str = REFUSED,
    progress: bool = True,
    dry_run: bool = False,
) -> ConversionSummary:
    """Convert all cases that are sound, gather the reasons of the others, and write dataset.json last.

    A case that is complete from an earlier run, with the same source files and settings, is not converted again, see
    `made_from`. While the conversion is at work, and after it was killed, there is no dataset.json, so nnU-Net refuses
    the folder.

    Args:
        folder: ``$nnUNet_raw/DatasetNNN_Name``, see `dataset_folder`.
        spec: The dataset to make.
        cases: What was found in the raw data.
        processes: Number of cases converted at a time.
        unlabelled: What becomes of cases without segmentation: ``refuse``, they fail; ``test``, they go to imagesTs;
            ``train``, they are training cases with nnU-Net's ignore label everywhere.
        progress: Whether to show a progress bar on stderr.
        dry_run: Whether to read and check all, but write nothing.

    Returns:
        What was done. Bad cases do not raise, they are listed in `ConversionSummary.failures`.

    Raises:
        DataError: If two cases have one name, no case has a file of one of the modalities, or the dataset's folder
            holds something else than these cases.
        SettingsError: If the number of processes is not positive.
    """
    if processes < 1:
        raise SettingsError(f"The number of processes is {processes}; it must be at least 1.")
    check_names(cases)
    spec = with_ignore_label(spec, cases, unlabelled)
    cases = refuse_shared_files(cases, spec.channel_names)
    _refuse_own_files(folder, cases)
    check_folder(folder, spec, {case.name for case in cases})
    orientations = orientations_of_raw_cases(cases)
    to = most_common(orientations.values())
    jobs = []
    for case in cases:
        test = case.test or (unlabelled == TEST_CASES and case.label is None)
        refused = unlabelled == REFUSED and case.label is None and not test
        case = replace(case, problem=case.problem or REMEDY) if refused else case
        jobs.append(_Job(case, spec, folder, test, dry_run, to, orientations.get(case.name, to) != to))
    # Problems of single cases are what to tell first; a dataset of test cases alone trains no model.
    if not any(case.problem for case in cases) and not all(job.test for job in jobs):
        gap = nowhere(spec.channel_names, [case.present(spec.channel_names) for case in cases])
        if gap:
            raise DataError(gap)
    with contextlib.ExitStack() as stack:
        if not dry_run:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone_in(folder))
            targets = chain.from_iterable(map(_targets, jobs))
            begin(folder, spec, {"imagesTr", "labelsTr", *(path.parent.name for path in targets)})

        summary = ConversionSummary(folder, spec.channel_names, orientation=to, raw_orientations=orientations)
        outcomes = run_in_parallel(convert_case, jobs, processes)
        bar = tqdm(
            outcomes, total=len(jobs), desc="Checking" if dry_run else "Converting", unit="case", disable=not progress
        )
        labels: list[tuple[int, ...] | None] = []
        for outcome in sorted(bar, key=lambda outcome: outcome.case.name):
            name = outcome.case.name
            if outcome.made is None:
                summary.failures[name] = outcome.failure or ""
                continue
            if outcome.reused:
                summary.reused.append(name)
            if outcome.redone:
                summary.redone[name] = outcome.redone
            if outcome.made.notes:
                summary.notes[name] = "; ".join(outcome.made.notes)
            if outcome.case.label is None and not outcome.test:
                summary.unlabelled.append(name)
            summary.records.append(_record(outcome.case, outcome.test, outcome.made.absent, spec.channel_names))
            if not outcome.test:
                labels.append(outcome.made.labels)
        summary.unseen = unseen_labels(spec.scheme, labels)
        if summary.training:
            summary.refusal = nowhere(spec.channel_names, [record.modalities for record in summary.records])
        elif not summary.test:
            summary.refusal = "There is no case that can be used."
        if not dry_run and not summary.refusal:
            write_atomically(folder / CASE_TABLE, write_case_table(summary.records))
            write_atomically(folder / SUMMARY_FILE, (summary_table(summary) + "\n").encode())
            content = dataset_json(folder, spec, len(summary.training), summary.missing_modalities, summary.unlabelled)
            summary.dataset_json = finish(folder, content if summary.training else None)
        return summary


def _refuse_own_files(folder: Path, cases: Sequence[RawCase]) -> None:
    """Raises SettingsError if a file to convert lies in the dataset that is to be written."""
    own = os.path.realpath(folder)
    for case in cases:
        for file in case.sources:
            if os.path.realpath(file).startswith(own + os.sep):
                raise SettingsError(
                    f"Case '{case.name}': {file} lies in the dataset that would be written, {folder}. Nothing was "
                    "written; convert into another dataset (-d, --name)."
                )


def run_in_parallel(worker: Callable[[Any], Any], jobs: Sequence[Any], processes: int) -> Iterator[Any]:
    """Yield `worker(job)` for all jobs, in their order.

    Raises:
        DataError: If one fails, or a process dies over it twice, as it does when memory runs out.
    """
    if (processes == 1 or len(jobs) <= 1) and not are_replaced():
        yield from map(worker, jobs)
        return
    with new_workers(min(processes, len(jobs))) as workers:
        for _, outcome in outcomes_in_order(workers, worker, jobs):
            if outcome.error is not None:
                raise DataError(f"{outcome.error} Finished cases are kept: run the same command again.")
            yield outcome.result


def convert_case(job: _Job) -> _Outcome:
    """Check and write one case; data errors become the outcome's `failure`."""
    case, folder = job.case, job.folder
    targets, record_at = _targets(job), record_file(job.folder, job.case.name)
    # What an earlier run put elsewhere, before the case got or lost its label.
    stale = [path for path in (*_places(job, False), *_places(job, True)) if path not in targets]
    try:
        if case.problem is not None:
            raise DataError(case.problem)
        now = made_from(case, job.spec, job.test, job.orientation if job.is_turned else None)
        earlier = read_record(folder, case.name)
        change = change_since(earlier, now, folder, targets)
        if earlier is not None and change is None:
            _remove(stale, job.dry_run)
            return _Outcome(case, job.test, made=earlier, reused=True)
        loaded = _load_case(case, job.spec, job.test, job.orientation, encode=not job.dry_run)
    except DataError as error:
        # nnU-Net counts the files that it finds, so nothing of a refused case may stay behind.
        _remove([record_at, *targets, *stale], job.dry_run)
        return _Outcome(case, job.test, failure=str(error))
    redone = change if any(path.is_file() for path in (record_at, *targets)) else None
    # The record goes first and comes last: what is half written has none.
    _remove([record_at, *stale], job.dry_run)
    sizes = {}
    for path, content in zip(targets, loaded.contents, strict=False) if not job.dry_run else ():
        write_atomically(path, content)
        sizes[path.relative_to(folder).as_posix()] = len(content)
    made = MadeFrom(now, sizes, loaded.absent, loaded.notes, loaded.labels)
    if not job.dry_run:
        write_atomically(record_at, made.encoded())
    return _Outcome(case, job.test, made=made, redone=redone)


def _remove(files: Iterable[Path], dry_run: bool) -> None:
    if not dry_run:
        for path in files:
            path.unlink(missing_ok=True)


def _record(case: RawCase, test: bool, absent: Sequence[int], channel_names: Sequence[str]) -> CaseRecord:
    return CaseRecord(
        case=case.name,
        patient=case.patient or case.name,
        site=case.site or "",
        grade=case.grade or "",
        subset=TEST if test else TRAINING,
        modalities=tuple(name for channel, name in enumerate(channel_names) if channel not in absent),
    )


def _targets(job: _Job) -> list[Path]:
    """Files that a case is written to: its images in channel order, then its label, if it has one."""
    places = _places(job, job.test)
    return places[:-1] if job.test and job.case.label is None else places


def _places(job: _Job, test: bool) -> list[Path]:
    """Where images and label of a case would be as a test or as a training case."""
    name, subset = job.case.name, "Ts" if test else "Tr"
    images = [f"images{subset}/{name}_{channel:04d}{FILE_ENDING}" for channel in range(len(job.spec.channel_names))]
    return [job.folder / path for path in (*images, f"labels{subset}/{name}{FILE_ENDING}")]


@dataclass(frozen=True)
class _Loaded:
    contents: list[bytes]  # of its files, images first; empty if not asked for
    absent: tuple[int, ...]
    notes: tuple[str, ...]  # what was doubtful, in words
    labels: tuple[int, ...]  # the values of its label map


def _load_case(case: RawCase, spec: DatasetSpec, test: bool, orientation: str | None, encode: bool) -> _Loaded:
    """Read and check a case.

    Args:
        case: The raw case.
        spec: The dataset.
        test: Whether it is a test case; another one without segmentation gets the ignore label within its images.
        orientation: Which its files are to have; None leaves them as they are.
        encode: Whether to make the contents of its files.

    Raises:
        DataError: If a file is unsound, the files do not share a grid, or the segmentation has unexpected labels.
    """
    loaded: list[np.ndarray | None] = []
    notes: list[str] = []
    grid: Geometry | None = None
    first = ""
    volumes = case.volumes or (None,) * len(case.images)
    for channel, path, volume in zip(spec.channel_names, case.images, volumes, strict=True):
        if path is None:
            loaded.append(None)
            continue
        data, found = _read_turned(path, orientation, notes, volume)
        if grid is None:
            grid, first = found, f"{channel} ({path.name})"
        _require_same_grid(path, found, grid, first)
        there = {name: image for name, image in zip(spec.channel_names, loaded, strict=False) if image is not None}
        doubt = doubts(data, there) if absence(data) is None else None
        if doubt:
            notes.append(f"{path}, taken for {channel}, {doubt}.")
        loaded.append(data if absence(data) is None else None)
    if grid is None or all(data is None for data in loaded):
        raise DataError(
            f"it has no image: none of {', '.join(spec.channel_names)} is there with more than one value in it."
        )

    absent = tuple(channel for channel, data in enumerate(loaded) if data is None)
    label = None
    if case.label is not None:
        values, found = _read_turned(case.label, orientation, notes)
        _require_same_grid(case.label, found, grid, first)
        label = _map_labels(values, spec.scheme, case.label, notes)
    elif not test:
        label = np.full(grid.shape, ignore_value(spec.scheme), np.uint8)
    ignore = spec.scheme.labels.get(IGNORE)
    if label is not None and isinstance(ignore, int):
        label = background_outside(label, [data for data in loaded if data is not None], ignore)
    contents: list[bytes] = []
    if encode:
        # All get the first one's affine: differences within the tolerance would fail nnU-Net's own, stricter check.
        affine = grid.ras_affine
        nothing = encode_nifti(np.zeros(grid.shape, np.uint8), affine, ABSENT) if absent else b""
        contents = [nothing if data is None else encode_nifti(data, affine) for data in loaded]
        contents += [encode_nifti(label, affine)] if label is not None else []
    labels = () if label is None else tuple(map(int, np.unique(label)))
    return _Loaded(contents, absent, tuple(notes), labels)


def _read_turned(
    path: Path, orientation: str | None, notes: list[str], volume: int | None = None
) -> tuple[np.ndarray, Geometry]:
    data, found = read_image(path, volume)
    _note_doubts(path, found, notes)
    return (data, found) if orientation is None else brought_to(orientation, data, found)


def _note_doubts(path: Path, found: Geometry, notes: list[str]) -> None:
    doubt = header_doubts(path, found)
    note = f"{path}: {doubt}"
    if doubt and note not in notes:  # 4D files come once per volume
        notes.append(note)


def _require_same_grid(path: Path, found: Geometry, expected: Geometry, reference: str) -> None:
    difference = found.difference(expected, reference)
    if difference is not None:
        raise DataError(f"{path} has {difference}. All files of a case must share one grid; register them first.")


def _map_labels(label: np.ndarray, scheme: LabelScheme, path: Path, notes: list[str]) -> np.ndarray:
    """Translate label values, (I, J, K) to uint8 (I, J, K)."""
    whole = known_labels(label, str(path), scheme.values, hint=scheme.hint, say=notes.append)
    mapped = np.zeros(label.shape, dtype=np.uint8)
    for raw, value in scheme.values.items():
        mapped[whole == raw] = value
    return mapped
