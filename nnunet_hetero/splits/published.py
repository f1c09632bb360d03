"""Splits that were published as a table of subjects, each for training, validation or inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.tables import read_rows

from .cohort import CohortCase
from .schemes import Fold

PARTS = {
    "training": "train",
    "train": "train",
    "validation": "val",
    "val": "val",
    "inference": "test",
    "test": "test",
}


@dataclass(frozen=True)
class PublishedFold:
    """A fold read from a table.

    Args:
        fold: With the dataset's case names.
        unmatched: Subjects of the table that are no case of the dataset.
        left_out: Cases of the dataset that the table does not name; they are in no part of the fold.
        held_out: Cases without a segmentation that the table has for validation or inference; they are in no part.
    """

    fold: Fold
    unmatched: list[str]
    left_out: list[str]
    held_out: list[str]


def read_published_fold(
    file: Path, cohort: Sequence[CohortCase], names: Path | None = None, unlabelled: Sequence[CohortCase] = ()
) -> PublishedFold:
    """Read rows ``subject,Training|Validation|Inference``, with or without a first row of column names.

    A subject is the case of that name, or the only case whose name its own ends in after a ``_``, as in
    ``HGG_Brats18_2013_2_1``; upper and lower case are the same, and ``_`` at the end does not count. The authors of
    U-HVED number their subjects (``HGG12_``), and have a second table of what each number stands for.

    Args:
        file: The table.
        cohort: Cases of the dataset, with a segmentation.
        names: Second table, rows ``name,folder``: for each subject the name to look up instead.
        unlabelled: Cases without a segmentation.

    Raises:
        DataError: If a table cannot be read, a row is not understood, a subject is named twice, no subject is a case of
            the dataset, or a part is empty that must not be.
    """
    folders = {} if names is None else _read_pairs(names)
    by_name = {case.name.lower(): case.name for case in (*cohort, *unlabelled)}
    without = {case.name for case in unlabelled}
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    unmatched, held_out = [], []
    taken: dict[str, str] = {}
    for subject, word in _read_assignments(file).items():
        case = _match(folders.get(_key(subject), subject), by_name)
        if case is None:
            unmatched.append(subject)
        elif case in taken:
            raise DataError(f"{file}: subjects '{taken[case]}' and '{subject}' are both case '{case}' of the dataset.")
        else:
            taken[case] = subject
            part = PARTS[word.lower()]
            if case not in without:
                parts[part].append(case)
            elif part != "train":
                held_out.append(case)
    if not taken:
        hint = "" if names else " If the subjects are numbered, give the table of their names with --names."
        raise DataError(
            f"None of the {len(unmatched)} subjects of {file}, e.g. '{unmatched[0]}', is a case of the dataset, e.g. "
            f"'{cohort[0].name}'.{hint}"
        )
    if not parts["train"] or not parts["val"]:
        raise DataError(
            f"{file}: of its subjects that are in the dataset, {len(parts['train'])} are for training and "
            f"{len(parts['val'])} for validation; a fold needs at least one of each."
        )
    _require_whole_patients(file, {**parts, "val": [*parts["val"], *held_out]}, [*cohort, *unlabelled])
    fold = Fold(**{part: sorted(cases) for part, cases in parts.items()})
    return PublishedFold(fold, unmatched, [case.name for case in cohort if case.name not in taken], held_out)


def _read_assignments(file: Path) -> dict[str, str]:
    """Subject → word, in the order of the file."""
    found: dict[str, str] = {}
    for index, (number, cells) in enumerate(read_rows(file)):
        if len(cells) != 2 or (cells[1].lower() not in PARTS and index > 0):
            raise DataError(
                f"{file}, row {number} is '{','.join(cells)}'; expected 'SUBJECT,' and one of Training, Validation and "
                "Inference."
            )
        if cells[1].lower() not in PARTS:
            continue  # the first row, column names
        if cells[0] in found:
            raise DataError(f"{file}, row {number}: subject '{cells[0]}' stands in the table twice.")
        found[cells[0]] = cells[1]
    if not found:
        raise DataError(f"{file} has no row such as 'SUBJECT,Training'.")
    return found


def _read_pairs(file: Path) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, cells in read_rows(file):
        if len(cells) != 2 or _key(cells[0]) in pairs:
            raise DataError(f"{file}, row {number} is '{','.join(cells)}'; expected 'NAME,FOLDER', each name once.")
        pairs[_key(cells[0])] = cells[1]
    return pairs


def _key(subject: str) -> str:
    return subject.rstrip("_").lower()


def _match(subject: str, by_name: dict[str, str]) -> str | None:
    key = _key(subject)
    if key in by_name:
        return by_name[key]
    ends = [case for name, case in by_name.items() if key.endswith(f"_{name}")]
    return ends[0] if len(ends) == 1 else None


def _require_whole_patients(file: Path, parts: dict[str, list[str]], cohort: Sequence[CohortCase]) -> None:
    part_of: dict[str, str] = {}
    for part, cases in parts.items():
        part_of |= dict.fromkeys(cases, part)
    seen: dict[str, CohortCase] = {}
    for case in (case for case in cohort if case.name in part_of):
        other = seen.setdefault(case.patient, case)
        if part_of[other.name] != part_of[case.name]:
            raise DataError(
                f"{file} puts '{other.name}' into {part_of[other.name]} and '{case.name}' into {part_of[case.name]}, "
                f"but both are of patient '{case.patient}'. If you accept that, add --ungrouped."
            )
