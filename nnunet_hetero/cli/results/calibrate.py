"""``nnunet_hetero calibrate``: what a model's numbers are worth."""

from __future__ import annotations

import argparse
from itertools import islice

from nnunet_hetero.calibration.request import BY_DISAGREEMENT, CalibrationRequest
from nnunet_hetero.cli.results.evaluate import add_model_and_cases
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import add_sampling_arguments, add_trust_argument
from nnunet_hetero.nnunet.arguments import DEVICES, step_size, usable_device
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.folders import model_folder, require_variables
from nnunet_hetero.reliability.conformal import patients_needed, require_level

HELP = """Measure on cases that the model has not seen how far its volumes and probabilities are off.

Each fold predicts its own validation cases, from every subset of their modalities; with -i and -l, the folds together
predict labelled cases. Writes calibration.json into the model's folder, from where prediction takes it, and
calibration/ with a row for each case, subset and region and a page. An interrupted run continues where it stopped.

Predict with the same --num_samples, -step_size and mirroring as here: with others there are no intervals."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; those that nnU-Net has mean the same as there."""
    add_model_and_cases(parser, "-l")
    parser.add_argument(
        "--level",
        type=float,
        default=CalibrationRequest.level,
        help="How many of the true volumes lie in their intervals, as a share. Default: %(default)s",
    )
    parser.add_argument(
        "--joint",
        action="store_true",
        help="Wider intervals, so that those of all regions of a case hold at the same time.",
    )
    parser.add_argument(
        "--widths",
        choices=("disagreement", "fixed"),
        default="disagreement" if BY_DISAGREEMENT else "fixed",
        help="Whether an interval is wider where the draws of the model disagree; always fixed for a model without "
        "latents. Default: %(default)s",
    )
    parser.add_argument("-device", "--device", default="cuda", choices=DEVICES, help="Default: %(default)s")
    parser.add_argument("--disable_tta", action="store_true", help="No mirroring; then predict without it, too.")
    parser.add_argument("-step_size", type=step_size, default=0.5, help="Of the sliding window. Default: %(default)s")
    add_sampling_arguments(parser, needs_draws=True)
    add_trust_argument(parser)
    parser.add_argument("--disable_progress_bar", action="store_true", help="For logs.")


def run(args: argparse.Namespace) -> int:
    """Calibrate; 1 if a case could not be used."""
    require_level(args.level)
    require_variables("nnUNet_results", *(() if args.i else ("nnUNet_raw", "nnUNet_preprocessed")))
    request = _request(args)
    # Late, so that -h answers at once.
    from nnunet_hetero.calibration.run import SHOWN, calibrate_model, in_words, without_interval
    from nnunet_hetero.reliability.input_verdict import warning

    usable_device(args.device)
    set_ext_trainer()
    result = calibrate_model(request)
    calibration = result.calibration
    for reason in result.failed.values():
        print(f"error: {reason}")
    if result.left_out:
        print(f"WARNING: {in_words(result.left_out)}")
    if result.without_row:
        some = ", ".join(result.without_row[:SHOWN])
        print(
            f"WARNING: cases.csv has no row for {len(result.without_row)} case(s), such as {some}, "
            "so each counts as the patient that its name tells, or as one of its own. If a patient has several cases, "
            "add the rows, and calibrate again."
        )
    for case, found in result.suspicious.items():
        print(
            f"WARNING: {warning(case, found)} It makes the checks of new cases less strict: if an image is wrong, mend "
            "it, or leave the case out, and calibrate again."
        )
    if request.by_disagreement and not calibration.by_disagreement:
        print("The model has no latents to draw, so all intervals of a region and subset have one width (fixed).")
    too_few = without_interval(calibration, result.subsets)
    if too_few:
        shown = ", ".join(f"{subset}: {number}" for subset, number in islice(too_few.items(), SHOWN))
        print(
            f"WARNING: {len(too_few)} subset(s) have no intervals: a level of {calibration.level} needs "
            f"{patients_needed(calibration.level)} patient(s), and there are fewer ({shown}). Calibrate with more "
            "folds (-f), or at a lower --level."
        )
    print(f"Page: {request.folder / 'report.html'}")
    print(f"Calibrated on {calibration.patients} patient(s), {len(result.records)} case(s): {result.file}")
    return 1 if result.failed else 0


def _request(args: argparse.Namespace) -> CalibrationRequest:
    return CalibrationRequest(
        model_folder=model_folder(args.d, args.tr, args.p, args.c),
        folds=args.f,
        checkpoint_name=args.chk,
        images=args.i,
        labels=args.l,
        level=args.level,
        joint=args.joint,
        by_disagreement=args.widths == "disagreement",
        device=args.device,
        mirroring=not args.disable_tta,
        step_size=args.step_size,
        sampling=SamplingOptions(args.num_samples, args.seed),
        trust_checkpoint=args.trust_checkpoint,
        progress=not args.disable_progress_bar,
    )
