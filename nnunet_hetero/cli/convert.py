"""``nnunet_hetero convert``: the converters, one sub-subcommand each."""

from __future__ import annotations

import argparse

from nnunet_hetero.cli.dispatch import Command, dispatch

PASS_THROUGH = True
HELP = "Write a data set as nnU-Net wants it, absent modalities as all-zero volumes."

CONVERTERS = {
    "brats": Command("nnunet_hetero.dataset_conversion.brats", "the raw BraTS layouts, cases with gaps included"),
    "phantom": Command(
        "nnunet_hetero.dataset_conversion.phantom", "a synthetic cohort in the raw BraTS layout, to try things out"
    ),
}


def run(args: argparse.Namespace) -> int:
    """Run the converter that the arguments name."""
    return dispatch("nnunet_hetero convert", HELP, CONVERTERS, args.arguments)
