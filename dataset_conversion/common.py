"""What all converters share: cases are checked and written in parallel, and the bad ones are gathered."""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nnunet_hetero.errors import DataError, HeteroError, SettingsError

from .dataset import FILE_ENDING, SUBFOLDERS, DatasetSpec, claim_folder, dataset_json
from .images import ABSENT, Grid, encode_nifti, is_marked_absent, read_image, write_atomically

DEFAULT_PROCESSES = max(1, min(8, os.cpu_count() or 1))


@dataclass(frozen=True)
class RawCase:
    """One case as a converter found it.

    Args:
        name: nnU-Net's case identifier.
        images: One file per channel, in channel order; None where the case lacks the modality.
        label: Segmentation, or None.
        problem: Why the case cannot be converted, as far as file names tell; None if they look well.
    """

    name: str
    images: tuple[Path | None, ...]
    label: Path | None
    problem: str | None = None


@dataclass
class ConversionSummary:
    """What a conversion did.

    Args:
        folder: The dataset's folder.
        training: Cases in imagesTr and labelsTr, sorted.
        test: Cases in imagesTs, sorted.
        reused: Those of the above that were complete from an earlier run.
        failures: Case → why it was not converted.
        missing_modalities: Case → names of the modalities it lacks.
        dataset_json: The file written last; None when no training case could be converted.
    """

    folder: Path
    training: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    missing_modalities: dict[str, list[str]] = field(default_factory=dict)
    dataset_json: Path | None = None


@dataclass(frozen=True)
class _Job:
    case: RawCase
    spec: DatasetSpec
    test: bool  # goes to imagesTs, without a label


@dataclass(frozen=True)
class _Outcome:
    name: str
    test: bool
    failure: str | None = None
    missing: tuple[str, ...] = ()
    reused: bool = False


def convert_cohort(
    spec: DatasetSpec,
    cases: Sequence[RawCase],
    processes: int = DEFAULT_PROCESSES,
    unlabelled_to_test: bool = False,
    progress: bool = True,
) -> ConversionSummary:
    """Convert all cases that are sound, gather the reasons of the others, and write dataset.json last.

    A case that is complete from an earlier run, and not older than its source files, is not converted again.

    Args:
        spec: The dataset to make.
        cases: What was found in the raw data.
        processes: Number of cases converted at a time.
        unlabelled_to_test: Whether cases without segmentation go to imagesTs; otherwise they fail.
        progress: Whether to show a progress bar on stderr.

    Returns:
        What was done. Bad cases do not raise, they are listed in `ConversionSummary.failures`.

    Raises:
        DataError: If the dataset's folder holds something else than these cases.
    """
    if processes < 1:
        raise SettingsError(f"The number of processes is {processes}; it must be at least 1.")
    claim_folder(spec, {case.name for case in cases})
    jobs = [_Job(case, spec, test=unlabelled_to_test and case.label is None) for case in cases]
    for name in SUBFOLDERS[: 3 if any(job.test for job in jobs) else 2]:
        (spec.folder / name).mkdir(parents=True, exist_ok=True)

    summary = ConversionSummary(spec.folder)
    outcomes = run_in_parallel(convert_case, jobs, processes)
    for outcome in sorted(
        tqdm(outcomes, total=len(jobs), desc="Converting", unit="case", disable=not progress), key=lambda o: o.name
    ):
        if outcome.failure is not None:
            summary.failures[outcome.name] = outcome.failure
            continue
        (summary.test if outcome.test else summary.training).append(outcome.name)
        if outcome.reused:
            summary.reused.append(outcome.name)
        if outcome.missing:
            summary.missing_modalities[outcome.name] = list(outcome.missing)
    target = spec.folder / "dataset.json"
    if summary.training:
        content = dataset_json(spec, len(summary.training), summary.missing_modalities)
        write_atomically(target, (json.dumps(content, indent=4) + "\n").encode())
        summary.dataset_json = target
    else:
        target.unlink(missing_ok=True)  # of an earlier run; it would promise cases that are not there
    return summary


def run_in_parallel(worker: Callable[[Any], Any], jobs: Sequence[Any], processes: int) -> Iterator[Any]:
    """Yield `worker(job)` for all jobs, in the order in which they end.

    Raises:
        DataError: If a process dies without an exception, as it does when memory runs out.
    """
    if processes == 1 or len(jobs) <= 1:
        yield from map(worker, jobs)
        return
    # Not forked: the caller may have started threads, and a fork then can hang.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context)
    try:
        for future in as_completed([executor.submit(worker, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            f"A process was killed, most likely because memory ran out with {processes} processes. "
            "Run the same command again with a smaller -np; finished cases are kept."
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def convert_case(job: _Job) -> _Outcome:
    """Check and write one case; data errors become the outcome's `failure`."""
    case, spec = job.case, job.spec
    images, labels = _targets(spec, case, job.test)
    # What an earlier run put into the other subset, before the case got or lost its label.
    for path in itertools.chain(*_targets(spec, case, not job.test)):
        path.unlink(missing_ok=True)
    try:
        if case.problem is not None:
            raise DataError(case.problem)
        if case.label is None and not job.test:
            raise DataError("it has no segmentation. Add it, or pass --unlabelled-to-imagesTs to make it a test case.")
        missing = _finished(case, images, labels)
        if missing is not None:
            return _Outcome(case.name, job.test, missing=tuple(spec.channel_names[i] for i in missing), reused=True)
        contents, missing = _load_case(case, spec)
    except DataError as error:
        # nnU-Net counts the files that it finds, so nothing of a refused case may stay behind.
        for path in (*images, *labels):
            path.unlink(missing_ok=True)
        return _Outcome(case.name, job.test, failure=str(error))
    for path, content in zip((*images, *labels), contents, strict=True):
        write_atomically(path, content)
    return _Outcome(case.name, job.test, missing=tuple(spec.channel_names[i] for i in missing))


def _targets(spec: DatasetSpec, case: RawCase, test: bool) -> tuple[list[Path], list[Path]]:
    """Files that a case is written to: its images, and its label unless it is a test case."""
    folder = spec.folder / ("imagesTs" if test else "imagesTr")
    images = [folder / f"{case.name}_{channel:04d}{FILE_ENDING}" for channel in range(len(spec.channel_names))]
    return images, [] if test else [spec.folder / "labelsTr" / f"{case.name}{FILE_ENDING}"]


def _finished(case: RawCase, images: Iterable[Path], labels: Iterable[Path]) -> list[int] | None:
    """Channels that are absent in a case that is finished, or None when it must be converted (again)."""
    images, targets = list(images), [*images, *labels]
    if not all(path.is_file() for path in targets):
        return None
    oldest = min(path.stat().st_mtime for path in targets)
    sources = [path for path in (*case.images, case.label) if path is not None]
    if any(path.stat().st_mtime > oldest for path in sources):
        return None
    missing = [channel for channel, path in enumerate(images) if is_marked_absent(path)]
    # A modality may have been added to the raw data, or taken from it, since the earlier run.
    gaps = [channel for channel, path in enumerate(case.images) if path is None]
    return missing if missing == gaps else None


def _load_case(case: RawCase, spec: DatasetSpec) -> tuple[list[bytes], list[int]]:
    """Read and check a case.

    Returns:
        The contents of its files, images first; and the channels that are absent.

    Raises:
        DataError: If a file is unsound, the files do not share a grid, or the segmentation has unexpected labels.
    """
    loaded: list[np.ndarray | None] = []
    grid: Grid | None = None
    first = ""
    for channel, path in zip(spec.channel_names, case.images, strict=True):
        if path is None:
            loaded.append(None)
            continue
        data, found = read_image(path)
        if grid is None:
            grid, first = found, f"{channel} ({path.name})"
        _require_same_grid(path, found, grid, first)
        loaded.append(data if np.any(data) else None)
    if grid is None or all(data is None for data in loaded):
        raise DataError(f"it has no image: none of {', '.join(spec.channel_names)} is there with a value other than 0.")

    # All files get the first one's affine: differences within the tolerance would fail nnU-Net's own, stricter check.
    contents = []
    for data in loaded:
        if data is None:
            contents.append(encode_nifti(np.zeros(grid.shape, np.uint8), grid.affine, ABSENT))
        else:
            contents.append(encode_nifti(data, grid.affine))
    if case.label is not None:
        label, found = read_image(case.label)
        _require_same_grid(case.label, found, grid, first)
        contents.append(encode_nifti(_map_labels(label, spec, case.label), grid.affine))
    return contents, [channel for channel, data in enumerate(loaded) if data is None]


def _require_same_grid(path: Path, found: Grid, expected: Grid, reference: str) -> None:
    difference = found.difference(expected)
    if difference is not None:
        raise DataError(
            f"{path} has {difference} of {reference}. All files of a case must share one grid; register them first."
        )


def _map_labels(label: np.ndarray, spec: DatasetSpec, path: Path) -> np.ndarray:
    """Translate label values, (I, J, K) to uint8 (I, J, K)."""
    found = np.unique(label)
    unknown = [value for value in found.tolist() if value not in spec.label_values]
    if unknown:
        raise DataError(
            f"{path} has the labels {', '.join(f'{value:g}' for value in found[:20])}; expected only "
            f"{', '.join(map(str, spec.label_values))}. {spec.label_hint}".rstrip()
        )
    mapped = np.zeros(label.shape, dtype=np.uint8)
    for raw, value in spec.label_values.items():
        mapped[label == raw] = value
    return mapped


def describe(summary: ConversionSummary) -> str:
    """Say what a conversion did, for the terminal; failures are said by `describe_failures`."""
    lines = [f"{summary.folder}: {len(summary.training)} training cases"]
    if summary.test:
        lines[0] += f", {len(summary.test)} test cases"
    if summary.reused:
        lines[0] += f" ({len(summary.reused)} of them from an earlier run)"
    if summary.missing_modalities:
        lines.append(f"{len(summary.missing_modalities)} cases lack modalities; all-zero volumes stand for them:")
        lines += [f"  {case}: {', '.join(names)}" for case, names in summary.missing_modalities.items()]
    if summary.dataset_json is None:
        lines.append("There is no training case, so no dataset.json was written.")
    return "\n".join(lines)


def describe_failures(summary: ConversionSummary) -> str:
    """List the cases that were not converted, and say whether training can go ahead."""
    total = len(summary.failures) + len(summary.training) + len(summary.test)
    lines = [f"{len(summary.failures)} of {total} cases were not converted:"]
    lines += [f"  {case}: {reason}" for case, reason in summary.failures.items()]
    if summary.dataset_json is not None:
        lines.append(
            f"dataset.json lists the {len(summary.training)} good training cases, so training can go ahead without the "
            "others; or mend them and run the same command again, which converts only what is not done yet."
        )
    return "\n".join(lines)


def run_alone(
    prog: str,
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
) -> int:
    """Command line of one converter that is called as a script; errors as ``nnunet_hetero`` prints them.

    Args:
        prog: Name for usage lines.
        description: What the converter does.
        add_arguments: Declares its options.
        run: Does the work, returns the exit code.
        argv: The arguments; None reads ``sys.argv``.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
