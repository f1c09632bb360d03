"""``nnunet_hetero complete``: the missing modalities of cases, without a segmentation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import (
    PredictionOptions,
    add_completion_argument,
    add_sampling_arguments,
    add_subset_arguments,
    add_trust_argument,
)
from nnunet_hetero.nnunet.arguments import DEVICES, fold, step_size, usable_device, whole_number
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER
from nnunet_hetero.nnunet.folders import model_folder

if TYPE_CHECKING:
    from nnunet_hetero.inference.complete_cases import CompleteAll
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

HELP = """Complete the missing modalities of cases: one image CASE_XXXX per missing channel in OUTPUT/completed, on the
case's own grid, with the intensities of the training images, and a JSON file beside it that says how it came about.

Together with the images that are there, OUTPUT/completed is a valid input of nnU-Net."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; those that nnU-Net has mean the same as there."""
    parser.add_argument("-i", required=True, metavar="INPUT", help="Folder of images, CASE_XXXX plus file ending.")
    parser.add_argument("-o", required=True, metavar="OUTPUT", help="Output folder; created if it does not exist.")
    parser.add_argument("-d", help="Dataset name or ID.")
    parser.add_argument("-c", help="Configuration, e.g. 3d_fullres.")
    parser.add_argument("-m", metavar="MODEL", help="Folder of the model, instead of -d, -c, -tr and -p.")
    parser.add_argument("-f", nargs="+", type=fold, help="Fold(s), an ensemble. Default: all that are trained.")
    parser.add_argument("-tr", default=DEFAULT_TRAINER, help="Trainer. Default: %(default)s")
    parser.add_argument("-p", default="nnUNetPlans", help="Plans identifier. Default: %(default)s")
    parser.add_argument("-chk", default="checkpoint_final.pth", help="Checkpoint's file name. Default: %(default)s")
    add_subset_arguments(parser)
    add_sampling_arguments(parser)
    add_completion_argument(parser, default="missing")
    parser.add_argument("-device", default="cuda", choices=DEVICES, help="Default: %(default)s")
    parser.add_argument("--disable_tta", action="store_true", help="No mirroring: faster, slightly less accurate.")
    parser.add_argument("-step_size", type=step_size, default=0.5, help="Of the sliding window. Default: %(default)s")
    parser.add_argument(
        "-npp", type=whole_number(), default=3, help="Processes for preprocessing. Default: %(default)s"
    )
    parser.add_argument(
        "--continue_prediction", "--c", action="store_true", help="Leave what an earlier run has completed."
    )
    add_trust_argument(parser)
    parser.add_argument("--disable_progress_bar", action="store_true", help="For logs.")


def named_model(args: argparse.Namespace) -> str:
    """The folder of the model that ``-m``, or ``-d`` and ``-c``, name.

    Raises:
        SettingsError: If neither does, or both do.
    """
    by_parts = args.d is not None or args.c is not None
    if args.m is not None and by_parts:
        raise SettingsError("-m names the folder of the model, and -d and -c another way to it. Give one of them.")
    if args.m is None and (args.d is None or args.c is None):
        raise SettingsError("Which model? Name it by -d and -c (and -tr, -p), or its folder by -m.")
    return args.m or model_folder(args.d, args.tr, args.p, args.c)


def run(args: argparse.Namespace) -> int:
    """Complete; 1 if a case failed."""
    return complete_with(args)


def complete_with(
    args: argparse.Namespace, elsewhere: Callable[[HeteroModalPredictor, str], CompleteAll] | None = None
) -> int:
    """The command, on other machines on demand.

    Args:
        args: Of the command.
        elsewhere: From a predictor and its model's folder to what completes the cases; None does so here.
    """
    folder = named_model(args)
    # Late, so that -h answers at once.
    from nnunet_hetero.inference.complete_cases import complete_cases
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

    device = usable_device(args.device)
    sampling = SamplingOptions(args.num_samples, args.seed, args.save_completed)
    predictor = HeteroModalPredictor.from_model_folder(
        folder,
        args.f,
        device,
        args.chk,
        options=PredictionOptions(tuple(args.missing), tuple(args.available), sampling, args.trust_checkpoint),
        use_mirroring=not args.disable_tta,
        tile_step_size=args.step_size,
        allow_tqdm=not args.disable_progress_bar,
    )
    all_of = None if elsewhere is None else elsewhere(predictor, folder)
    overwrite, run = not args.continue_prediction, predictor.describe_run()
    failed = complete_cases(predictor.model, args.i, args.o, overwrite, args.npp, run, all_of)
    print(f"Written to {args.o}/completed.")
    return 1 if failed else 0
