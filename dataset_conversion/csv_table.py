"""Convert any cohort that a CSV describes to an nnU-Net dataset: a row per case, a column per modality.

``nnunet_hetero convert csv -i cohort.csv -d 505 --classes lesion=1``, or with
``python dataset_conversion/csv_table.py``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.cases.naming.names import NO_IMAGE_WORD_ENDS, NO_IMAGE_WORDS
from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.classes import add_classes_argument, read_classes
from nnunet_hetero.dataset_conversion.writing.command import add_common_arguments, run_alone, run_conversion
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.tables import Table, read_table
from nnunet_hetero.modalities import NORMALISATIONS

KEY, LABEL, SPLIT = "case", "label", "split"
OTHERS = ("patient", "site", "grade")
ENDINGS = (".nii", ".nii.gz", ".mha", ".mhd")


@dataclass(frozen=True)
class CsvCohort:
    """What a CSV describes.

    Args:
        channel_names: Modalities, in the order of their columns.
        cases: Its cases, in the order of the rows.
        doubts: Empty cells beside which an image lies that may belong there, in words.
    """

    channel_names: tuple[str, ...]
    cases: list[RawCase]
    doubts: tuple[str, ...] = ()


def read_csv_cohort(file: str | Path) -> CsvCohort:
    """Read a CSV of cases.

    Args:
        file: Columns ``case``, perhaps ``label``, ``patient``, ``site``, ``grade`` and ``split``, and one per modality
            with paths, relative to the CSV's folder; an empty cell is an absent file.

    Raises:
        DataError: If the table cannot be used as a whole: it cannot be read, a case stands in it twice, a column is no
            modality, or ``split`` has unknown values. What is wrong with single cases is in `RawCase.problem`.
    """
    file = Path(file)
    table = read_table(file, KEY, (LABEL, SPLIT, *OTHERS))
    if not table.rows:
        raise DataError(f"{file} has no row below its column names.")
    names = tuple(name for name in table.columns if name not in (KEY, LABEL, SPLIT, *OTHERS))
    if not names:
        raise DataError(f"{file} has no column for a modality, only {', '.join(table.columns)}.")
    _require_images(file, table, names)
    claims = _claims(file, table, (*names, LABEL))
    cases = [_case(file, number, row, names, claims) for number, row in table.rows]
    cases = _not_of_others(file, table, (*names, LABEL), cases)
    doubts: list[str] = []
    for case in cases:
        doubts += _passed_over(case, names, claims)
    return CsvCohort(names, cases, tuple(doubts))


def _require_images(file: Path, table: Table, names: Sequence[str]) -> None:
    """Refuse columns that are no modalities: otherwise a misspelt ``patient`` would become a channel."""
    for name in names:
        cells = [(number, row[name]) for number, row in table.rows if row[name]]
        wrong = [(number, cell) for number, cell in cells if not cell.lower().endswith(ENDINGS)]
        if cells and len(wrong) == len(cells):
            raise DataError(
                f"{file}: unknown column '{name}', with cells such as '{cells[0][1]}'. Columns are {KEY}, {LABEL}, "
                f"{', '.join(OTHERS)}, {SPLIT}, and modalities with paths that end in {', '.join(ENDINGS)}."
            )
        if wrong:
            raise DataError(
                f"{file}, row {wrong[0][0]}, column '{name}': '{wrong[0][1]}' is no image; expected a path that "
                f"ends in {', '.join(ENDINGS)}."
            )


def require_no_masks(file: str | Path, names: Sequence[str]) -> None:
    """Refuse columns that are named like segmentations, or maps of another kind, among the modalities.

    Args:
        file: The CSV.
        names: The columns that are to become channels.

    Raises:
        SettingsError: If there is one: a model would be given what it is to find.
    """
    for name in names:
        words = re.split(r"[\W_]+", name.lower())
        if NO_IMAGE_WORDS.intersection(words) or name.lower().endswith(NO_IMAGE_WORD_ENDS):
            raise SettingsError(
                f"{file}: the column '{name}' would become a modality, but is named like a segmentation or a mask. "
                f"Segmentations stand in the column '{LABEL}'. Call it so, leave it out (--modalities), or, if it is "
                "a modality, give it another name."
            )


def _not_of_others(file: Path, table: Table, columns: Sequence[str], cases: Sequence[RawCase]) -> list[RawCase]:
    """Give a `problem` to rows in which one cell names another case and others name their own: as after sorting one
    column of a table."""

    def names(cell: str, case: str) -> bool:
        return re.search(rf"(?<![A-Za-z0-9]){re.escape(case)}(?![A-Za-z0-9])", cell) is not None

    found = []
    for case, (number, row) in zip(cases, table.rows, strict=True):
        cells = {column: row[column] for column in columns if row.get(column)}
        strange = {column: cell for column, cell in cells.items() if not names(cell, case.name)}
        problem = case.problem
        for column, cell in strange.items() if len(strange) < len(cells) else ():
            owner = next((other.name for other in cases if names(cell, other.name)), None)
            if owner is not None:
                problem = problem or (
                    f"row {number} of {file.name}: {cell}, its {column}, has the name of case {owner} in it, and its "
                    f"other files that of {case.name}. Mend the row; if it is right, give the file another name."
                )
        found.append(replace(case, problem=problem))
    return found


def _path(file: Path, cell: str) -> Path | None:
    return file.parent / cell if cell else None


def _claims(file: Path, table: Table, columns: Sequence[str]) -> dict[Path, list[str]]:
    """Path → the cells that name it."""
    claims: dict[Path, list[str]] = {}
    for number, row in table.rows:
        for column in columns:
            if row.get(column):
                claims.setdefault(Path(os.path.realpath(file.parent / row[column])), []).append(
                    f"row {number} as {column}"
                )
    return claims


def _passed_over(case: RawCase, names: Sequence[str], claims: Collection[Path]) -> list[str]:
    """Say which images beside those of a case are named like a modality that its row leaves empty."""
    folders = sorted({path.parent for path in case.sources})
    # The folder of one case; in a folder of all, the case must be in the name.
    beside: list[Path] = []
    for folder in folders:
        beside += sorted(folder.iterdir()) if folder.is_dir() else []
    unclaimed = [path for path in beside if path.name.lower().endswith(ENDINGS) and path.resolve() not in claims]
    shared = len(beside) - len(unclaimed) > len(case.sources)
    doubts = []
    for name, image in zip(names, case.images, strict=True):
        word = re.compile(rf"(?<![a-z0-9]){re.escape(name.lower())}(?![a-z0-9])")
        for path in unclaimed if image is None else ():
            if word.search(path.name.lower()) and (case.name.lower() in path.name.lower() or not shared):
                doubts.append(
                    f"case {case.name} has no {name} in the table, but {path} lies there, and no row names it."
                )
    return doubts


def _case(file: Path, number: int, row: dict[str, str], names: Sequence[str], claims: dict[Path, list[str]]) -> RawCase:
    images = tuple(_path(file, row[name]) for name in names)
    label = _path(file, row.get(LABEL, ""))
    present = [path for path in (*images, label) if path is not None]
    problem = None
    if all(path is None for path in images):
        problem = f"it has no modality; the columns {', '.join(names)} are empty."
    for path in present:
        who = claims[Path(os.path.realpath(path))]
        if not path.is_file():
            problem = problem or f"{path} is not there. Mend the path, or leave the cell empty if the image is absent."
        elif len(who) > 1:
            problem = problem or f"{path} is claimed {len(who)} times: {', '.join(who)}. A file can stand for one only."
    word = row.get(SPLIT, "").lower()
    if word not in ("", "train", "training", "test"):
        raise DataError(
            f"{file}, row {number}: '{row[SPLIT]}' in the column '{SPLIT}'; expected train, test or nothing."
        )
    return RawCase(
        row[KEY],
        images,
        label,
        problem and f"row {number} of {file.name}: {problem}",
        test=word == "test",
        **{name: row.get(name) or None for name in OTHERS},
    )


def rename_channels(names: Sequence[str], entries: Sequence[str]) -> tuple[str, ...]:
    """Call channels by the normalisation that nnU-Net is to choose for them.

    Args:
        names: Modalities.
        entries: ``MODALITY=SCHEME``, of `NORMALISATIONS`.

    Raises:
        SettingsError: If a modality or scheme is unknown, or two channels would have one name.
    """
    renamed = list(names)
    schemes = {scheme.lower(): scheme for scheme in NORMALISATIONS}
    for entry in entries:
        name, _, scheme = entry.partition("=")
        if name not in names or scheme.lower() not in schemes:
            raise SettingsError(
                f"--normalisation: '{entry}' is not MODALITY=SCHEME; modalities are {', '.join(names)}, schemes "
                f"{', '.join(NORMALISATIONS)}."
            )
        renamed[names.index(name)] = schemes[scheme.lower()]
    if len({name.lower() for name in renamed}) < len(renamed):
        raise SettingsError(
            f"--normalisation would call the channels {', '.join(renamed)}. nnU-Net chooses a normalisation by the "
            "channel's name, so only one channel can have each; name the others in the plans, after planning."
        )
    return tuple(renamed)


def describe_normalisation(names: Sequence[str]) -> str:
    """Say which channels get something else than nnU-Net's z-score; empty if none does."""
    schemes = {scheme.lower() for scheme in NORMALISATIONS if scheme != "zscore"}
    special = [name for name in names if name.lower() in schemes]
    return f"nnU-Net normalises by the channel's name: {', '.join(special)}; z-score for the rest." if special else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert csv``."""
    columns = ", ".join((KEY, LABEL, *OTHERS, SPLIT))
    add_common_arguments(
        parser, "Cohort", f"CSV with the columns {columns} (all but the first optional), and modalities"
    )
    add_classes_argument(parser, "--classes", "--labels")
    parser.add_argument(
        "--normalisation",
        nargs="+",
        default=[],
        metavar="MODALITY=SCHEME",
        help=f"call the channel so that nnU-Net normalises it by this scheme: {', '.join(NORMALISATIONS)}",
    )


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    if not args.classes:
        raise SettingsError("What do the values in the segmentations mean? Say it, e.g. --classes lesion=1")
    cohort = read_csv_cohort(args.input)
    require_no_masks(args.input, args.modalities or cohort.channel_names)
    names = rename_channels(cohort.channel_names, args.normalisation)
    note = describe_normalisation(names)
    if note:
        print(note)
    for doubt in cohort.doubts:
        print(f"warning: {doubt}")
    scheme = replace(read_classes(args.classes), hint="Name all values with --classes.")
    return run_conversion(DatasetSpec(names, scheme, f"cohort of {Path(args.input).name}"), cohort.cases, args)


def main(argv: list[str] | None = None) -> int:
    """Command line of the CSV converter alone."""
    return run_alone("csv_table.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
