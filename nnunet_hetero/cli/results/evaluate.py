"""``nnunet_hetero evaluate``: a model on all subsets of its modalities."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions, default_names
from nnunet_hetero.evaluation.scores.metric_settings import LESION_RULES
from nnunet_hetero.evaluation.scores.registry import all_metrics
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import add_sampling_arguments, add_trust_argument
from nnunet_hetero.nnunet.arguments import DEVICES, fold, step_size, usable_device
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, set_ext_trainer
from nnunet_hetero.nnunet.folders import model_folder, require_variables

if TYPE_CHECKING:
    from nnunet_hetero.evaluation.sweep.model import Sweep

NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)

HELP = """Segment cases from every subset of the modalities and measure how good that is.

Without -i and -l, each fold segments its own validation cases; with --split test, the folds together segment the test
set. Writes metrics.csv (one row per case, subset and region), summary.json, table.md and report.html, and prints the
table. An interrupted run continues where it stopped.

Each case is segmented 2^M - 1 times, so by default from the posterior's mean (--num_samples 0), not from 10 draws as in
prediction. With the same --num_samples and --seed the label maps are those of the prediction."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; those that nnU-Net has mean the same as there."""
    add_model_and_cases(parser, "-l and -o")
    parser.add_argument(
        "--split",
        choices=("val", "test"),
        default="val",
        help="Validation cases, or the test cases that 'nnunet_hetero splits' held out. Default: %(default)s",
    )
    parser.add_argument("-o", metavar="OUTPUT", help="Output folder. Default: fold_X/evaluation in the model folder.")
    parser.add_argument(
        "--subsets", nargs="+", metavar="SUBSET", help='Subsets by name, e.g. "T1+FLAIR" T1c. Default: all.'
    )
    parser.add_argument("-device", default="cuda", choices=DEVICES, help="Default: %(default)s")
    parser.add_argument("--disable_tta", action="store_true", help="No mirroring: faster, slightly less accurate.")
    parser.add_argument("-step_size", type=step_size, default=0.5, help="Of the sliding window. Default: %(default)s")
    add_sampling_arguments(parser, num_samples=0)
    known, default = all_metrics(), default_names()
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=("all", *known),
        default=list(default),
        metavar="METRIC",
        help=f"What to measure: {', '.join(known)}, or all; the Dice always. Default: {' '.join(default)}",
    )
    parser.add_argument(
        "--nsd_tolerance",
        type=float,
        default=MetricOptions.tolerance,
        metavar="MM",
        help="Distance up to which surfaces agree, for the normalised surface Dice. Default: %(default)s",
    )
    parser.add_argument(
        "--lesion_rule",
        choices=LESION_RULES,
        default=MetricOptions.lesion_rule,
        help="BraTS 2023 challenge whose lesion-wise scores are meant. Default: %(default)s",
    )
    parser.add_argument(
        "--remove_small",
        nargs=2,
        metavar=("REGION", "VOXELS"),
        help="Remove this region from predictions with fewer voxels of it, before scoring: it becomes the rest of the "
        "smallest region around it, or background. Default: nothing is removed.",
    )
    parser.add_argument(
        "--completion",
        action="store_true",
        help="Also complete the modalities outside of each subset, and write how close they are to the true images to "
        "completion.csv.",
    )
    parser.add_argument(
        "--save_predictions", action="store_true", help="Keep the label maps, in OUTPUT/predictions/SUBSET."
    )
    parser.add_argument(
        "--view",
        action="store_true",
        help="Keep the label maps, and write pages to look at the worst, median and best case (extra [viewer]).",
    )
    add_trust_argument(parser)
    parser.add_argument("--disable_progress_bar", action="store_true", help="For logs.")


def add_model_and_cases(parser: argparse.ArgumentParser, others: str) -> None:
    """Declare the flags that name a trained model, and labelled cases for it.

    Args:
        parser: To declare them in.
        others: Flags that ``-i`` needs.
    """
    parser.add_argument("-d", required=True, help="Dataset name or ID.")
    parser.add_argument("-c", required=True, help="Configuration, e.g. 3d_fullres.")
    parser.add_argument(
        "-f", nargs="+", type=fold, help="Fold(s). Default: all that are trained. With -i they form an ensemble."
    )
    parser.add_argument("-tr", default=DEFAULT_TRAINER, help="Trainer. Default: %(default)s")
    parser.add_argument("-p", default="nnUNetPlans", help="Plans identifier. Default: %(default)s")
    parser.add_argument("-chk", default="checkpoint_final.pth", help="Checkpoint's file name. Default: %(default)s")
    parser.add_argument("-i", metavar="IMAGES", help=f"Folder of images, if not the validation cases; needs {others}.")
    parser.add_argument("-l", metavar="LABELS", help="Folder of the label maps, CASE plus file ending.")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 1 if a case failed."""
    return evaluate_with(args)


def evaluate_with(args: argparse.Namespace, sweep: Sweep | None = None) -> int:
    """The command, on other machines on demand.

    Args:
        args: Of the command.
        sweep: What segments and measures the cases; None does so here.
    """
    request = _request(args)
    # Late, so that -h answers at once.
    from nnunet_hetero.evaluation.report.run_report import write_run_report
    from nnunet_hetero.evaluation.sweep.model import evaluate_model

    usable_device(args.device)
    set_ext_trainer()
    try:
        result = evaluate_model(request, sweep)
    except OSError as error:
        if args.o is not None or error.errno not in NOT_ALLOWED:
            raise
        raise SettingsError(
            f"{error.filename}: {error.strerror}. Without -o the results go into the folder of the model, which may "
            "not be written to. Give another place with -o."
        ) from error
    print(f"\n{result.table}")
    for case, subsets in result.evaluation.skipped.items():
        print(f"{case}: {len(subsets)} subset(s) left out, the case does not have all of their modalities.")
    for reason in result.evaluation.failed.values():
        print(f"error: {reason}")
    without = _write_pages(result.folder) if args.view else {}
    for reason in without.values():
        print(f"error: {reason}")
    write_run_report(result.folder)
    files = ["metrics.csv", *(["completion.csv"] if args.completion else []), "summary.json", "table.md", "report.html"]
    print(f"Written to {result.folder}: {', '.join(files)}")
    return 1 if result.evaluation.failed or without else 0


def look(args: argparse.Namespace) -> None:
    """Refuse what the command refuses before the first case, here or elsewhere, and write nothing."""
    from nnunet_hetero.evaluation.sweep.model import look_at

    set_ext_trainer()
    look_at(_request(args))


def _write_pages(folder: Path) -> dict[str, str]:
    """Pages of the worst, median and best case; why a case has none, by case."""
    from nnunet_hetero.evaluation.report.case_pages import ranked_cases
    from nnunet_hetero.inference.output.page_names import VIEW_FOLDER
    from nnunet_hetero.viewer.evaluation_folder import EvaluationFolder
    from nnunet_hetero.viewer.pages import write_pages

    source = EvaluationFolder(folder)
    return write_pages(source, list(ranked_cases(source.run)), folder / VIEW_FOLDER, progress=False)


def _request(args: argparse.Namespace) -> EvaluationRequest:
    require_variables("nnUNet_results", *(() if args.i else ("nnUNet_raw", "nnUNet_preprocessed")))
    if args.remove_small and not args.remove_small[1].isdecimal():
        raise SettingsError(f"--remove_small: '{args.remove_small[1]}' is no number of voxels. Give REGION VOXELS.")
    return EvaluationRequest(
        model_folder=model_folder(args.d, args.tr, args.p, args.c),
        folds=args.f,
        checkpoint_name=args.chk,
        split=args.split,
        images=args.i,
        labels=args.l,
        subsets=args.subsets,
        output=args.o,
        device=args.device,
        mirroring=not args.disable_tta,
        step_size=args.step_size,
        sampling=SamplingOptions(args.num_samples, args.seed),
        metrics=MetricOptions.of(args.metrics, args.nsd_tolerance, args.lesion_rule),
        remove_small=(args.remove_small[0], int(args.remove_small[1])) if args.remove_small else None,
        completion=args.completion,
        save_predictions=args.save_predictions or args.view,
        trust_checkpoint=args.trust_checkpoint,
        progress=not args.disable_progress_bar,
    )
