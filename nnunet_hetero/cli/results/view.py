"""``nnunet_hetero view``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnunet_hetero.errors import SettingsError

HELP = """\
Pages to look at predicted cases, one file each that opens in a browser without a network: slices and 3D, the images
that were given and the completed ones, regions, truth, uncertainty; for an evaluation also what each subset says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("output", metavar="OUT", help="Output folder of a prediction or an evaluation.")
    parser.add_argument("--case", nargs="+", help="Case(s). Default: all.")
    parser.add_argument("--images", metavar="IN", help="Folder of the images. Default: the one that was predicted.")
    parser.add_argument("--labels", metavar="GT", help="Folder of true label maps.")
    parser.add_argument("--predictions", metavar="DIR", help="'predictions' of 'evaluate --save_predictions'.")
    parser.add_argument("-o", metavar="PAGE.html", help="File of the page, for one case. Default: OUT/view/CASE.html.")
    parser.add_argument("--full", action="store_true", help="Images with all their digits, not cropped: large files.")
    parser.add_argument("--slicer", metavar="DIR", help="Write files for 3D Slicer and ITK-SNAP there, and no pages.")


def run(args: argparse.Namespace) -> int:
    """Write the pages; 1 if a case has none."""
    # Late, so that -h answers at once.
    from nnunet_hetero.inference.output.page_names import INDEX, VIEW_FOLDER
    from nnunet_hetero.viewer.case_folder import CaseFolder
    from nnunet_hetero.viewer.evaluation_folder import EvaluationFolder
    from nnunet_hetero.viewer.page import write_case_page
    from nnunet_hetero.viewer.pages import write_pages
    from nnunet_hetero.viewer.slicer import write_scenes

    if args.slicer and args.o:
        raise SettingsError("--slicer writes no pages, and -o names one. Give one of them.")
    output = Path(args.output)
    if not output.is_dir():
        raise SettingsError(f"{output} is no folder. Give the output folder of a prediction.")
    given = (args.images, args.labels, args.predictions)
    images, labels, predictions = (Path(folder) if folder else None for folder in given)
    for flag, folder in (("--images", images), ("--labels", labels), ("--predictions", predictions)):
        if folder is not None and not folder.is_dir():
            raise SettingsError(f"{flag} {folder} is no folder.")
    source: CaseFolder | EvaluationFolder = CaseFolder(output, images, labels, predictions)
    if EvaluationFolder.is_one(output):
        if any(given):
            raise SettingsError(
                f"{output} is an evaluation, which says itself from which images and label maps it was made. Leave out "
                "--images, --labels and --predictions."
            )
        source = EvaluationFolder(output)
    cases = args.case or source.cases()
    if args.o and len(cases) > 1:
        raise SettingsError(f"-o names one page, but there are {len(cases)} cases. Choose one with --case.")
    if args.o:
        print(f"Written {write_case_page(source.view(cases[0]), args.o, args.full)}")
        return 0
    if args.slicer:
        failed, where = write_scenes(source, cases, Path(args.slicer)), args.slicer
    else:
        failed, where = write_pages(source, cases, output / VIEW_FOLDER, args.full), output / VIEW_FOLDER / INDEX
    for reason in failed.values():
        print(f"error: {reason}", file=sys.stderr)
    if len(failed) < len(cases):
        print(f"Written {where}")
    return 1 if failed else 0
