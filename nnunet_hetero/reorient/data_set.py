"""All images and labels of a raw data set in one orientation, and the way back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from nnunet_hetero.cases.orientation import in_words, most_common
from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.io.atomic_files import clear_drafts, is_draft
from nnunet_hetero.io.processes import threads
from nnunet_hetero.reorient.listing import (
    files_of_training_cases,
    orientation_in_file,
    orientations_of_cases,
    reader_of,
)
from nnunet_hetero.reorient.record import as_it_was, header_in, load_record, save_record
from nnunet_hetero.reorient.turned_file import header_of, turn_file

TEST_FOLDERS = ("imagesTs", "labelsTs")


@dataclass(frozen=True)
class Reorientation:
    """What `reorient` did, or would do.

    Args:
        found: Which cases had which orientation, in words.
        to: The orientation that all have now.
        turned: The files that were rewritten.
        number: How many files there are.
    """

    found: str
    to: str
    turned: tuple[str, ...]
    number: int


def reorient(
    folder: Path, to: str | None = None, dry_run: bool = False, processes: int = 4, progress: bool = True
) -> Reorientation:
    """Bring all files of a raw data set to one orientation; those that have it stay untouched.

    An interrupted run is finished by the next one.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        to: The orientation; None is the one that most training cases have.
        dry_run: Whether to write nothing.
        processes: Number of files at a time.
        progress: Whether to show a progress bar.

    Raises:
        DataError: If a file is damaged or lies outside of the data set, or its images have no orientation.
    """
    cases = files_of_training_cases(folder)
    reader = reader_of(folder, cases)
    found = orientations_of_cases(cases, reader)
    target = to or most_common(found.values())
    if target is None:
        raise DataError(
            f"The images of {folder} have no orientation: they are 2D, pictures, or nnU-Net's {reader.__name__} turns "
            "them itself. There is nothing to do."
        )
    files = list(dict.fromkeys([*chain.from_iterable(cases.values()), *_test_files(folder)]))
    with threads(processes) as pool:
        orientations = dict(zip(files, pool.map(lambda file: orientation_in_file(file, reader), files), strict=True))
        todo = {file: one for file, one in orientations.items() if one is not None and one != target}
        _require_inside(folder, todo)
        if todo and not dry_run:
            _clear_drafts(folder)
            record = load_record(folder)
            for file, orientation in todo.items():
                record.setdefault(_relative(folder, file), as_it_was(orientation, header_of(file)))
            # Before the files, so that an interrupted run can be undone.
            save_record(folder, record)
            turns = pool.map(lambda file: turn_file(file, todo[file], target), todo)
            for _ in tqdm(turns, "Turning files", len(todo), unit="file", disable=not progress):
                pass
    return Reorientation(in_words(found), target, tuple(todo), len(files))


def undo(folder: Path, processes: int = 4, progress: bool = True) -> tuple[int, list[str]]:
    """Bring all files back to what they were before `reorient`, header and all.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        processes: Number of files at a time.
        progress: Whether to show a progress bar.

    Returns:
        The number of files that were turned back, and those that are other images by now and were left, with reasons.

    Raises:
        DataError: If there is no record, or it is damaged.
    """
    record = load_record(folder)
    if not record:
        raise DataError(f"{folder} has no record of reorient: it has turned nothing here, or it is undone.")
    _clear_drafts(folder)
    there = [name for name in record if (folder / name).is_file()]
    cohort = CaseFolder.of_dataset(folder)

    def turn_back(name: str) -> str | None:
        file, entry = folder / name, record[name]
        now = orientation_in_file(file, type(cohort.reader(str(file))))
        if now == entry["orientation"] or now is None:
            return ""
        try:
            turn_file(file, now, entry["orientation"], header_in(entry))
        except DataError as error:
            return str(error)
        return None

    with threads(processes) as pool:
        bar = tqdm(pool.map(turn_back, there), "Turning back", len(there), unit="file", disable=not progress)
        outcomes = list(bar)
    save_record(folder, {})
    return outcomes.count(None), [reason for reason in outcomes if reason]


def cases_turned_apart(
    folder: Path, files: Mapping[str, Sequence[str]], now: Mapping[str, str | None]
) -> dict[str, list[str]]:
    """The cases whose files had different orientations before `reorient`, and the files that it has turned.

    What was preprocessed of them before is of images that do not fit each other, and nothing else tells.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        files: By case.
        now: The orientation of each case, see `orientations_of_cases`.

    Raises:
        DataError: If the record is damaged.
    """
    record = load_record(folder)
    found = {}
    for case, paths in files.items():
        before = {file: record[name]["orientation"] for file in paths if (name := _relative(folder, file)) in record}
        if len({*before.values(), *([now[case]] if len(before) < len(paths) else [])}) > 1:
            found[case] = list(before)
    return found


def _clear_drafts(folder: Path) -> None:
    """What killed runs left."""
    for place in (folder, *(entry for entry in folder.iterdir() if entry.is_dir())):
        clear_drafts(place)


def _test_files(folder: Path) -> Iterator[str]:
    ending = CaseFolder.of_dataset(folder).ending
    for name in TEST_FOLDERS:
        place = folder / name
        for file in sorted(place.iterdir()) if place.is_dir() else ():
            if file.name.endswith(ending) and not is_draft(file.name):
                yield str(file)


def _require_inside(folder: Path, files: Iterable[str]) -> None:
    own = os.path.realpath(folder) + os.sep
    outside = [file for file in files if not os.path.realpath(file).startswith(own)]
    if outside:
        raise DataError(
            f"{len(outside)} file(s) that would be turned lie outside of the data set, such as {outside[0]}; others "
            f"may use them. Nothing was changed. Copy them into {folder} first."
        )


def _relative(folder: Path, file: str) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()
