"""Filling the gaps of a data set with all-zero volumes, and taking them out again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tqdm import tqdm

from nnunet_hetero.cases.find import Case, find_cases
from nnunet_hetero.cases.raw_dataset import DATASET_JSON, RARE
from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps.case_folder import CaseFolder, find, refuse
from nnunet_hetero.fill_gaps.listing import MISSING, list_gaps, missing_modalities, unlist_gaps, with_images
from nnunet_hetero.fill_gaps.record import RECORD_NAME, Record
from nnunet_hetero.fill_gaps.volumes import CaseGrid, is_zero, read_grid, write_zeros
from nnunet_hetero.io.atomic_files import clear_drafts
from nnunet_hetero.io.processes import threads

if TYPE_CHECKING:
    from nnunetv2.imageio.base_reader_writer import BaseReaderWriter


@dataclass(frozen=True)
class Gaps:
    """The gaps of a cohort.

    Args:
        cohort: Where.
        cases: Names of all cases.
        missing: Case → modalities that it lacks, in channel order; of cases that lack any.
        written: Number of files written in this run; in a dry run, of those that would be.
        warnings: What the user should know before training.
    """

    cohort: CaseFolder
    cases: tuple[str, ...]
    missing: dict[str, list[str]]
    written: int
    warnings: tuple[str, ...]


def fill_gaps(cohort: CaseFolder, dry_run: bool = False, processes: int = 4, progress: bool = True) -> Gaps:
    """Write an all-zero volume for every file that is not there, and list the gaps.

    All cases with gaps are read and checked before the first file is written. An interrupted run is finished by the
    next one; without new gaps that changes nothing. What an earlier run wrote and is an image by now counts as one.

    Args:
        cohort: Where.
        dry_run: Whether to check all and write nothing.
        processes: Number of cases read at a time.
        progress: Whether to show progress bars.

    Raises:
        DataError: If a case cannot be used, or a modality is nowhere.
    """
    cases = find(cohort)
    reader = cohort.reader(next(filter(None, chain.from_iterable(case.files for case in cases))))
    earlier = Record.load(cohort.folder) or Record(listed_before=cohort.dataset_json.get(MISSING))
    record = earlier.without(file for file in earlier.paths if _is_image(cohort, file, reader))
    written = {str(cohort.folder / file) for file in record.paths}
    todo, real = [], []
    for case in cases:
        images = tuple(None if file in written else file for file in case.files)
        real.append(Case(case.name, images))
        gaps = [channel for channel, file in enumerate(case.files) if file is None]
        if gaps:
            todo.append(_Job(real[-1], {channel: cohort.name_of(case.name, channel) for channel in gaps}))
            record = record.with_files(case.name, _relative(cohort, todo[-1]))
    warnings = _rare_modalities(cohort, real)
    grids = _checked(cohort, todo, reader, processes, progress)
    warnings += [
        f"Case '{job.case.name}': {cohort.modalities.label(grid.empty)} has a file, which is zero throughout. That "
        f"counts as absent, too; it is not listed in {MISSING}."
        for job, grid in zip(todo, grids, strict=True)
        if grid.empty
    ]
    # To be mended before training; the all-zero images are right all the same.
    warnings += [grid.wrong_labels for grid in grids if grid.wrong_labels]
    if not dry_run:
        _clear_drafts(cohort)
        _write(cohort, earlier, record, todo, grids, reader, progress)
    return Gaps(
        cohort,
        tuple(case.name for case in cases),
        missing_modalities(cohort, earlier, record),
        sum(len(job.files) for job in todo),
        tuple(warnings),
    )


def undo(cohort: CaseFolder) -> tuple[int, list[str]]:
    """Delete what `fill_gaps` wrote and restore dataset.json.

    Returns:
        The number of files deleted, and the files that were kept because they are images by now.

    Raises:
        DataError: If there is no record.
    """
    _clear_drafts(cohort)
    record = Record.load(cohort.folder)
    if record is None:
        raise DataError(f"{cohort.folder} has no {RECORD_NAME}: fill-gaps has written nothing here, or it is undone.")
    there = sorted(file for file in record.paths if (cohort.folder / file).is_file())
    kept = [file for file in there if _is_image(cohort, file, cohort.reader(str(cohort.folder / file)))]
    for file in there:
        if file not in kept:
            (cohort.folder / file).unlink()
    if cohort.training:
        unlist_gaps(cohort, record, set(kept))
    (cohort.folder / RECORD_NAME).unlink()
    return len(there) - len(kept), kept


def _clear_drafts(cohort: CaseFolder) -> None:
    """What killed runs left; also where this one has nothing to write."""
    for folder in (cohort.folder, cohort.images):
        clear_drafts(folder)


@dataclass(frozen=True)
class _Job:
    """A case with gaps: its images, and the file names to write by channel."""

    case: Case
    files: dict[int, str]


def _is_image(cohort: CaseFolder, file: str, reader: BaseReaderWriter) -> bool:
    path = cohort.folder / file
    return path.is_file() and not is_zero(path, reader)


def _relative(cohort: CaseFolder, job: _Job) -> dict[str, str]:
    return {
        cohort.modalities.names[channel]: (cohort.images / name).relative_to(cohort.folder).as_posix()
        for channel, name in job.files.items()
    }


def _rare_modalities(cohort: CaseFolder, cases: Sequence[Case]) -> list[str]:
    """Warnings of modalities that few training cases have.

    Raises:
        DataError: If no case at all has a modality.
    """
    warnings = []
    for channel, name in enumerate(cohort.modalities.names):
        having = sum(case.files[channel] is not None for case in cases)
        if not cohort.training or having >= min(RARE, len(cases)):
            continue
        if having:
            warnings.append(
                f"Only {having} of {len(cases)} training cases have {name}. What the model makes of it rests on them, "
                "and with five folds some fold trains or validates without it."
            )
        elif _is_in_test_cases(cohort, channel):
            warnings.append(
                f"No training case has {name}, only imagesTs has it. The model will have an input for {name} that it "
                "never saw, and an image of it that nothing supervised: do not use either."
            )
        else:
            raise DataError(
                f"No case has {name} (channel {channel}). A model can neither use nor complete a modality that it "
                f"never sees. Add its files, or take it out of 'channel_names' in {cohort.folder / DATASET_JSON} and "
                "renumber the files."
            )
    return warnings


def _is_in_test_cases(cohort: CaseFolder, channel: int) -> bool:
    folder = cohort.folder / "imagesTs"
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    return any(case.files[channel] for case in find_cases(folder, cohort.modalities, cohort.ending))


def _checked(
    cohort: CaseFolder, jobs: Sequence[_Job], reader: BaseReaderWriter, processes: int, progress: bool
) -> list[CaseGrid]:
    """Grids of the cases with gaps; all problems of all cases are named together."""

    def look_at(job: _Job) -> CaseGrid | DataError:
        in_the_way = [name for name in job.files.values() if os.path.lexists(cohort.images / name)]
        try:
            if in_the_way:
                raise DataError(
                    f"Case '{job.case.name}': {cohort.images / in_the_way[0]} is there, but {DATASET_JSON} does not "
                    "list it. List it, or rename it."
                )
            label = cohort.label_of(job.case.name)
            return read_grid(job.case, cohort.modalities, label, cohort.dataset_json, reader)
        except DataError as error:
            return error

    # Readers decompress outside of Python's lock, so threads do.
    with threads(processes) as pool:
        found = pool.map(look_at, jobs)
        grids = list(tqdm(found, "Checking cases with gaps", len(jobs), unit="case", disable=not (progress and jobs)))
    refuse([str(grid) for grid in grids if isinstance(grid, DataError)])
    return grids


def _write(
    cohort: CaseFolder,
    earlier: Record,
    record: Record,
    jobs: Sequence[_Job],
    grids: Sequence[CaseGrid],
    reader: BaseReaderWriter,
    progress: bool,
) -> None:
    if cohort.listed is not None:
        before = {**{job.case.name: cohort.listed[job.case.name]["images"] for job in jobs}, **record.images_before}
        for case, files in earlier.files.items():
            images = {name: file for name, file in files.items() if name not in record.files.get(case, {})}
            before[case] = with_images(cohort, before[case], images) if images else before[case]
        record = Record(record.files, before, record.listed_before)
    if jobs:
        cohort.images.mkdir(exist_ok=True)
        # Before the files, so that an interrupted run can be undone. What earlier runs wrote stays on it until the end.
        everything = record
        for case, files in earlier.files.items():
            everything = everything.with_files(case, files)
        everything.save(cohort.folder)
    bar = tqdm(jobs, "Writing all-zero volumes", unit="case", disable=not (progress and jobs))
    for job, grid in zip(bar, grids, strict=True):
        write_zeros(cohort.images, job.case.name, list(job.files.values()), grid, reader)
    if cohort.training:
        list_gaps(cohort, earlier, record)
    record.save(cohort.folder)
