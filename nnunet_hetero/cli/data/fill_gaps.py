"""``nnunet_hetero fill-gaps``: all-zero volumes for the files that a data set lacks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.arguments import whole_number
from nnunet_hetero.nnunet.folders import dataset_folders

if TYPE_CHECKING:
    from nnunet_hetero.fill_gaps.case_folder import CaseFolder

HELP = """Write an all-zero volume, on the grid of the case's other images, for every CASE_XXXX file that a data set in
nnU-Net's raw format lacks, and list the gaps in dataset.json (missing_modalities). nnU-Net then finds all files it asks
for, and our trainers take the zeros for what they are: absent.

All cases with gaps are read and checked first; nothing is written if one cannot be used, or if training cases have
different orientations. An interrupted run is finished by the next one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-d", metavar="ID", help="Dataset name or ID; its imagesTr is filled, unless -i is given.")
    parser.add_argument("-i", metavar="FOLDER", type=Path, help="Fill a folder of cases to predict instead.")
    parser.add_argument("-m", metavar="MODEL", type=Path, help="With -i: folder of a model, which knows the channels.")
    parser.add_argument("--dry-run", action="store_true", help="Check all and print the gaps, write nothing.")
    parser.add_argument("--undo", action="store_true", help="Delete what was written, and restore dataset.json.")
    parser.add_argument("-np", type=whole_number(1), default=4, help="Cases read at a time. Default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Fill, or undo."""
    if args.dry_run and args.undo:
        raise SettingsError("--dry-run and --undo exclude each other. Leave one out.")
    if args.m is not None and args.i is None:
        raise SettingsError("-m says which channels the cases in -i have. A data set of its own is filled by -d.")
    if (args.d is None) == (args.m is None):
        raise SettingsError("Which data set? Name it by -d; with -i by -d or by the folder of a model, -m.")
    # Late, so that -h answers at once.
    from nnunet_hetero.cases.raw_dataset import read_dataset_json
    from nnunet_hetero.fill_gaps.case_folder import CaseFolder
    from nnunet_hetero.io.atomic_files import alone_in

    source = args.m if args.d is None else dataset_folders(args.d)[0]
    cohort = (
        CaseFolder.of_dataset(source) if args.i is None else CaseFolder.of_folder(args.i, read_dataset_json(source))
    )
    with alone_in(cohort.folder):
        return _fill_or_undo(cohort, args)


def _fill_or_undo(cohort: CaseFolder, args: argparse.Namespace) -> int:
    from nnunet_hetero.fill_gaps.fill import fill_gaps, undo
    from nnunet_hetero.fill_gaps.table import gaps_in_words
    from nnunet_hetero.reorient.listing import require_one_orientation

    if args.undo:
        deleted, kept = undo(cohort)
        print(f"{cohort.folder}: {deleted} all-zero volume(s) deleted.")
        for file in kept:
            print(f"Kept: {file}, it is not zero any more.")
    else:
        if cohort.training:
            require_one_orientation(cohort.folder)
        print(gaps_in_words(fill_gaps(cohort, args.dry_run, args.np), args.dry_run))
    return 0
