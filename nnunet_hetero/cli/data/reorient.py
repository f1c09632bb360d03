"""``nnunet_hetero reorient``: all images of a data set in one orientation."""

from __future__ import annotations

import argparse

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.arguments import whole_number
from nnunet_hetero.nnunet.folders import dataset_folders

HELP = """Bring all images and labels of a data set in nnU-Net's raw format to one orientation, which training needs.
Axes are permuted and flipped, and the headers follow: nothing is resampled, and every voxel keeps its value and its
place in the patient. Files that have the orientation already stay untouched.

Plan and preprocess again afterwards. An interrupted run is finished by the next one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-d", metavar="ID", required=True, help="Dataset name or ID, in nnUNet_raw.")
    parser.add_argument(
        "--to",
        metavar="XYZ",
        help="The orientation, e.g. RAS: three letters, the side towards which each axis of a file runs. Default: the "
        "one that most training cases have.",
    )
    parser.add_argument("--dry-run", action="store_true", help="Say which files would be turned, write nothing.")
    parser.add_argument("--undo", action="store_true", help="Bring the files back to what they were.")
    parser.add_argument("-np", type=whole_number(1), default=4, help="Files at a time. Default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Turn, or undo."""
    if args.undo and (args.dry_run or args.to):
        raise SettingsError("--undo brings the files back to what they were; leave --dry-run and --to out.")
    # Late, so that -h answers at once.
    from nnunet_hetero.cases.orientation import require_orientation
    from nnunet_hetero.io.atomic_files import alone_in
    from nnunet_hetero.reorient.data_set import reorient, undo
    from nnunet_hetero.reorient.listing import number_of

    to = None if args.to is None else require_orientation(args.to, "--to")
    folder, *_ = dataset_folders(args.d)
    with alone_in(folder):
        if args.undo:
            number, kept = undo(folder, args.np)
            print(f"{folder}: {number} file(s) turned back.")
            for reason in kept:
                print(f"Left as it is: {reason}")
            return 0
        done = reorient(folder, to, args.dry_run, args.np)
    print(f"{folder}: {done.found}.")
    if args.dry_run:
        for file in done.turned:
            print(f"Would be turned to {done.to}: {file}")
    what = "would be turned" if args.dry_run else "turned"
    print(f"{len(done.turned)} of {done.number} file(s) {what} to {done.to}, the others have it already.")
    if done.turned and not args.dry_run:
        print(f"Plan and preprocess again: nnUNetv2_plan_and_preprocess -d {number_of(args.d)}. Back: --undo.")
    return 0
