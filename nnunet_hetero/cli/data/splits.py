"""``nnunet_hetero splits``: training, validation and test cases."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.arguments import number_between, seed, whole_number
from nnunet_hetero.nnunet.folders import dataset_folders

HELP = """Divide a converted data set into folds, written as nnU-Net's splits_final.json. Call it before planning: test
cases that all folds share are moved to imagesTs and labelsTs, so that nnU-Net never sees them.

Schemes:
  kfold   k folds, balanced by site, grade and missing modalities; with --test a test set beside them
  paper   70 % training, 10 % validation, 20 % test cases at random, three times (Dorent et al., 2019)
  import  published tables, a fold each, rows 'subject,Training|Validation|Inference'

All scans of a patient stay together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-d", required=True, metavar="ID", help="Dataset name or ID.")
    parser.add_argument("--scheme", choices=("kfold", "paper", "import"), help="Default: kfold; import with --csv.")
    parser.add_argument(
        "--folds", type=whole_number(2), default=5, help="Number of folds of kfold. Default: %(default)s"
    )
    parser.add_argument(
        "--test",
        type=number_between(0, 1, from_limit=True),
        default=0.0,
        help="Share of test cases of kfold, e.g. 0.2. Default: none",
    )
    parser.add_argument(
        "--repeats", type=whole_number(1), default=3, help="Number of folds of paper. Default: %(default)s"
    )
    parser.add_argument("--seed", type=seed, default=0, help="Of kfold and paper. Default: %(default)s")
    parser.add_argument("--csv", nargs="+", type=Path, default=[], metavar="FILE", help="Published tables to import.")
    parser.add_argument("--names", type=Path, metavar="FILE", help="CSV 'name,folder': what the subjects are called.")
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="CSV: case, patient, site, grade. Default: the data set's cases.csv",
    )
    parser.add_argument(
        "--patient-pattern", metavar="REGEX", help="Finds the patient in a case name, in its first group that matches."
    )
    parser.add_argument("--ungrouped", action="store_true", help="Scans of one patient may come into different parts.")
    parser.add_argument("--keep-test", action="store_true", help="Leave the test cases in imagesTr, in no fold.")
    parser.add_argument("--overwrite", action="store_true", help="Replace splits that are there.")
    parser.add_argument("--dry-run", action="store_true", help="Print the table, write nothing.")
    parser.add_argument("--undo", action="store_true", help="Bring test cases back to imagesTr and remove the splits.")


def run(args: argparse.Namespace) -> int:
    """Divide, print the table, write."""
    # Late, so that -h answers at once.
    from nnunet_hetero.io.atomic_files import alone_in

    raw, preprocessed = dataset_folders(args.d)
    with alone_in(raw):
        return _split_or_undo(raw, preprocessed, args)


def _split_or_undo(raw: Path, preprocessed: Path, args: argparse.Namespace) -> int:
    from nnunet_hetero.splits.make import SplitOptions, plan_splits, undo_splits

    if args.undo:
        cases, files = undo_splits(raw, preprocessed)
        print(f"{len(cases)} test cases are back in imagesTr. Removed: {', '.join(map(str, files)) or 'nothing'}.")
        return 0
    scheme = args.scheme or ("import" if args.csv else "kfold")
    _refuse_idle_flags(args, scheme)
    options = SplitOptions(
        scheme=scheme,
        folds=args.folds,
        test=args.test,
        repeats=args.repeats,
        seed=args.seed,
        tables=args.csv,
        names=args.names,
        table=args.table,
        patient_pattern=args.patient_pattern,
        grouped=not args.ungrouped,
        keep_test=args.keep_test,
    )
    splits = plan_splits(raw, preprocessed, options, args.overwrite or args.dry_run)
    print(splits.table)
    for note in splits.notes:
        print(f"Note: {note}")
    if args.dry_run:
        print("Nothing was written.")
        return 0
    splits.write()
    if splits.to_move:
        print(f"Moved {len(splits.to_move)} test cases to imagesTs and labelsTs of {splits.raw}; back with --undo.")
    print(f"Written to {splits.preprocessed}: splits_final.json, hetero_splits.json")
    return 0


def _refuse_idle_flags(args: argparse.Namespace, scheme: str) -> None:
    """A flag that would do nothing is a misunderstanding."""
    for flag, value, owner in (
        ("--csv", args.csv, "import"),
        ("--names", args.names, "import"),
        ("--test", args.test, "kfold"),
    ):
        if value and scheme != owner:
            raise SettingsError(f"{flag} belongs to --scheme {owner}, not to {scheme}. Leave it out.")
