"""``nnunet_hetero demo``: the whole chain on a synthetic cohort."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_hetero.nnunet.arguments import whole_number

HELP = """Run the whole chain on a synthetic cohort, on a CPU, in minutes.

Phantoms, conversion, nnU-Net's planning, training, prediction with missing modalities, evaluation on all subsets, and a
page report.html with the table and pictures. Each command is printed as you would type it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="Output folder. Default: %(default)s")
    parser.add_argument("--epochs", type=whole_number(1), default=10, help="Epochs of 40 steps. Default: %(default)s")
    parser.add_argument(
        "--cases", type=whole_number(1), default=30, help="Phantoms to train on; 8 more are held out. %(default)s"
    )
    parser.add_argument(
        "--size", type=whole_number(1), default=48, help="Edge of a phantom in voxels. Default: %(default)s"
    )
    parser.add_argument("--keep", action="store_true", help="Keep the raw cohort and the preprocessed data.")
    parser.add_argument("--incomplete", action="store_true", help="Train on a cohort where a third of cases have gaps.")


def run(args: argparse.Namespace) -> int:
    """Run the chain."""
    from nnunet_hetero.demo.chain import run_demo
    from nnunet_hetero.demo.settings import DemoSettings
    from nnunet_hetero.integration.nnunet_arguments import require_output_folder

    require_output_folder(args.out)
    run_demo(DemoSettings(args.out, args.epochs, args.cases, args.size, args.keep, args.incomplete))
    return 0
