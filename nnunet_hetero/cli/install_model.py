"""``nnunet_hetero install-model``."""

from __future__ import annotations

import argparse

from nnunet_hetero.inference.options import add_trust_argument
from nnunet_hetero.nnunet.folders import require_variables

HELP = """\
Install a model from a zip file, as nnUNetv2_export_model_to_zip writes it, into nnUNet_results. Before anything is
installed all of it is looked at: no path may lead elsewhere, no checkpoint may bring code along."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("zip", metavar="ZIP", help="The zip file.")
    parser.add_argument("--overwrite", action="store_true", help="Replace a model that is installed already.")
    add_trust_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Install, and say what and where."""
    require_variables("nnUNet_results")
    # Late, so that -h answers at once.
    from nnunetv2.paths import nnUNet_results

    from nnunet_hetero.inference.model.model_archive import install_model

    results = nnUNet_results.require()
    for folder in install_model(args.zip, results, overwrite=args.overwrite, trusted=args.trust_checkpoint):
        print(f"installed {folder}")
    return 0
