"""``nnunet_hetero return``: results back on the images as they came from the scanner."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_hetero.nnunet.arguments import whole_number

HELP = """Bring results of cases that 'nnunet_hetero intake' prepared back to their original images: label maps,
completed images and maps of uncertainty, by the inverse transforms. BACK/CASE/segmentation_on_T1c.nii.gz lies on the
T1c as it came from the scanner. BACK/volumes.csv compares the volumes there with those before.

A run that was stopped continues when the command is repeated: what is there, and was made from what is there now, is
kept."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--intake", required=True, type=Path, metavar="OUTPUT", help="Output folder of the intake.")
    parser.add_argument("--predictions", required=True, type=Path, metavar="PRED", help="Folder of the results.")
    parser.add_argument("-o", required=True, type=Path, metavar="BACK", help="Folder to write to.")
    parser.add_argument(
        "--to",
        default="reference",
        metavar="NAME",
        help="Modality whose image is meant, 'all', or 'reference', the one that lay still. Default: %(default)s",
    )
    parser.add_argument(
        "--dicom-seg",
        action="store_true",
        help="Write DICOM Segmentations too, for images that are DICOM series (extra [dicom]).",
    )
    parser.add_argument("-np", type=whole_number(), default=2, help="Cases at a time. Default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Return; 1 if a case failed."""
    # Late, so that -h answers at once.
    from nnunet_hetero.intake.returning.run import return_cases

    result = return_cases(args.intake, args.predictions, args.o, args.to, args.np, args.dicom_seg)
    kept = f", {len(result.kept)} of them from an earlier run" if result.kept else ""
    print(f"{len(result.done)} case(s) in {args.o}{kept}; their volumes are in {args.o / 'volumes.csv'}.")
    if result.failed:
        print(f"{len(result.failed)} case(s) failed, see {args.o / 'failed.json'}.")
    return 1 if result.failed else 0
