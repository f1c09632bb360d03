"""``nnunet_hetero export-model``."""

from __future__ import annotations

import argparse

from nnunet_hetero.cli.models.complete import named_model
from nnunet_hetero.nnunet.arguments import fold
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER

HELP = """\
Write a trained model as one zip file, for 'nnunet_hetero install-model': the folds that are trained, with their
evaluation and calibration if there are some. Prints the SHA-256 to publish beside it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-o", required=True, metavar="ZIP", help="The zip file to write.")
    parser.add_argument("-d", help="Dataset name or ID.")
    parser.add_argument("-c", help="Configuration, e.g. 3d_fullres.")
    parser.add_argument("-m", metavar="MODEL", help="Folder of the model, instead of -d, -c, -tr and -p.")
    parser.add_argument("-f", nargs="+", type=fold, help="Fold(s). Default: all that are trained.")
    parser.add_argument("-tr", default=DEFAULT_TRAINER, help="Trainer. Default: %(default)s")
    parser.add_argument("-p", default="nnUNetPlans", help="Plans identifier. Default: %(default)s")
    parser.add_argument("-chk", default="checkpoint_final.pth", help="Checkpoint's file name. Default: %(default)s")
    parser.add_argument("--card", action="store_true", help="Add a page: data, folds, Dice of every subset, use.")
    parser.add_argument("--licence", help="The model's licence, for the page, e.g. CC-BY-4.0.")


def run(args: argparse.Namespace) -> int:
    """Export, and say what and where."""
    folder = named_model(args)
    # Late, so that -h answers at once.
    from nnunet_hetero.inference.model.model_export import export_model
    from nnunet_hetero.inference.model.model_folder import checked_folds

    folds = checked_folds(folder, args.f, args.chk)
    digest = export_model(folder, folds, args.chk, args.o, args.card, args.licence)
    print(f"written {args.o}, fold(s) {', '.join(map(str, folds))}\nSHA-256 {digest}")
    return 0
