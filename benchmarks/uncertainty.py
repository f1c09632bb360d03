"""Do intervals of volumes hold, and how wide are they? Before: percentiles of the draws. After: calibrated.

    python benchmarks/uncertainty.py -o OUT --accuracy ACCURACY_OUTPUT                  # of benchmarks/accuracy.py
    python benchmarks/uncertainty.py -o OUT --accuracy NEW --data BRATS --spacing 4 --features 16 32 64 96 --folds 3
    python benchmarks/uncertainty.py -o OUT --model MODEL_FOLDER [-i IMAGES -l LABELS]

The first takes the models that benchmarks/accuracy.py has trained; with flags of that benchmark it trains them before.
The last takes any model folder, with nnU-Net's variables set, or labelled cases. The model is copied to OUT/model and
calibrated there: each fold predicts its own validation cases from every subset of their modalities. Then the cases of
each fold are checked against intervals from those of the others (with one fold, or labelled cases: each patient against
all others). Printed, and written to OUT/table.md and OUT/summary.json, by region and number of modalities:

* how many true volumes lie in their intervals, where 95 % of such shares lie (binomial), and in the worst subset;
* the mean width, log(upper / lower), next to that of fixed widths, which do not follow the draws' disagreement;
* how many lie between the 2.5 and 97.5 percentiles of the draws;
* rank correlation of disagreement and Dice, over all subsets, and the mean of those within each subset.

With --cost N the same command predicts N training cases with the calibration and without, in turns, and prints the
ratio of processor times, from reading the images to the written files.

A run that was stopped continues: give the same command again.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from head_to_head.data import CONFIGURATION, DATASET, FOLDERS, NAME
from scipy.stats import spearmanr

from nnunet_hetero.calibration.collect import RAW
from nnunet_hetero.calibration.coverage import HeldOut, binomial_band, coverage, draws_coverage, held_out
from nnunet_hetero.calibration.records import Row
from nnunet_hetero.calibration.request import CalibrationRequest
from nnunet_hetero.calibration.run import CalibrationResult, calibrate_model
from nnunet_hetero.errors import HeteroError, SettingsError
from nnunet_hetero.evaluation.sweep.table import markdown_of
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.model.model_folder import checked_folds
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.atomic_files import replace_json, replace_text
from nnunet_hetero.nnunet.environment import set_ext_trainer

CHECKPOINT = "checkpoint_final.pth"
HEADER = (
    *("region", "modalities", "checked", "inside", "95 % band", "lowest subset", "width", "fixed: inside", "width"),
    *("draws: inside", "correlation", "in a subset"),
)


def parser() -> argparse.ArgumentParser:
    """The command line; what it does not know goes to benchmarks/accuracy.py."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = found.add_mutually_exclusive_group(required=True)
    source.add_argument("--accuracy", type=Path, metavar="DIR", help="output folder of benchmarks/accuracy.py")
    source.add_argument(
        "--model", type=Path, metavar="DIR", help="nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION"
    )
    found.add_argument("-o", required=True, type=Path, metavar="OUT", help="output folder")
    found.add_argument("-i", metavar="IMAGES", help="labelled cases, with --model")
    found.add_argument("-l", metavar="LABELS")
    found.add_argument("--method", default="ours", help="of the accuracy benchmark (%(default)s)")
    found.add_argument("--seed", default="0", help="of the accuracy benchmark (%(default)s)")
    found.add_argument("--calibrate-folds", nargs="+", metavar="FOLD", help="default: all that are trained")
    found.add_argument("--level", type=float, default=0.9)
    found.add_argument("--num_samples", type=int, default=SamplingOptions.num_samples)
    found.add_argument("--disable_tta", action="store_true")
    found.add_argument("--cost", type=int, default=0, metavar="N", help="cases for the cost (none)")
    found.add_argument("--device", choices=("cpu", "cuda"))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train if need be, calibrate, check, print."""
    args, for_accuracy = parser().parse_known_args(arguments)
    try:
        folder = _accuracy_model(args, for_accuracy) if args.accuracy else args.model
        if args.model and for_accuracy:
            raise SettingsError(f"{' '.join(for_accuracy)}: --model knows no such flags.")
        set_ext_trainer()
        result = calibrate_model(
            CalibrationRequest(
                _copy(folder, args.calibrate_folds, args.o / "model"),
                args.calibrate_folds,
                images=args.i,
                labels=args.l,
                level=args.level,
                device=args.device,
                mirroring=not args.disable_tta,
                sampling=SamplingOptions(args.num_samples),
            )
        )
        ratio = cost(args, folder.name) if args.cost else None
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    lines = table(result)
    text = markdown_of([HEADER, *lines], texts=1)
    replace_text(args.o / "table.md", text + "\n")
    replace_json(args.o / "summary.json", [dict(zip(_keys(), line, strict=True)) for line in lines])
    if ratio is not None:
        print(f"\nTime of a prediction with calibration, without = 1: {ratio:.3f}")
    print(f"\n{text}\n\nPage with pictures: {args.o / 'model' / folder.name / 'calibration' / 'report.html'}")
    return 1 if result.failed else 0


def cost(args: argparse.Namespace, model: str) -> float:
    """Processor time of a prediction with the calibration over that without, the median of three turns."""
    options = PredictionOptions(sampling=SamplingOptions(args.num_samples))
    predictor = HeteroModalPredictor.from_model_folder(
        args.o / "model" / model, args.calibrate_folds, args.device, options=options, use_mirroring=not args.disable_tta
    )
    raw = Path(os.environ[RAW], predictor.plans_manager.dataset_name, "imagesTr")
    cases = sorted({file.name.rsplit("_", 1)[0] for file in raw.glob(f"*{predictor.dataset_json['file_ending']}")})
    files = [sorted(map(str, raw.glob(f"{case}_*"))) for case in cases[: args.cost]]
    calibration, ratios = predictor.calibration, []
    if predictor.model.calibration is None:
        raise SettingsError(predictor.model.uncalibrated)
    for turn in range(4):
        seconds = {}
        for name, kind in (("with", calibration), ("without", None)):
            predictor.calibration = kind
            outputs = [str(args.o / "cost" / f"{name}_{number}") for number in range(len(files))]
            begin = time.process_time()
            predictor.predict_from_files_sequential(files, outputs)
            seconds[name] = time.process_time() - begin
        if turn:  # the first one warms up
            ratios.append(seconds["with"] / seconds["without"])
    shutil.rmtree(args.o / "cost")
    return float(np.median(ratios))


def _keys() -> list[str]:
    keys = list(HEADER)
    keys[HEADER.index("fixed: inside") + 1] = "fixed: width"
    return keys


def _accuracy_model(args: argparse.Namespace, for_accuracy: Sequence[str]) -> Path:
    if for_accuracy:
        import accuracy

        device = ["--device", args.device] if args.device else []
        command = ["--out", str(args.accuracy), "--methods", args.method, "--seeds", args.seed, *device, *for_accuracy]
        if accuracy.main(command):
            raise SettingsError("The training failed, see above.")
    for name in FOLDERS:
        os.environ[name] = str(args.accuracy.resolve() / name)
    results = args.accuracy / "nnUNet_results" / f"Dataset{DATASET}_{NAME}"
    found = list(results.glob(f"*__nnUNetPlans_{args.method}_seed{args.seed}__{CONFIGURATION}"))
    if not found:
        raise SettingsError(f"There is no model of {args.method}, seed {args.seed}, in {results}.")
    return found[0]


def _copy(folder: Path, folds: Sequence[str] | None, target: Path) -> Path:
    """What prediction needs of a model, so that the model's own folder stays as it is."""
    copied = target / folder.name
    for fold in checked_folds(folder, folds, CHECKPOINT):
        (copied / f"fold_{fold}").mkdir(parents=True, exist_ok=True)
        for name in ("plans.json", "dataset.json", f"fold_{fold}/{CHECKPOINT}"):
            shutil.copy2(folder / name, copied / name)
    return copied


def table(result: CalibrationResult) -> list[list[str]]:
    """The printed lines, by region and number of modalities, and over all numbers."""
    level, rows = result.calibration.level, result.rows
    found = {True: held_out(rows, by_disagreement=True), False: held_out(rows, by_disagreement=False)}
    lines = []
    for region in result.calibration.regions:
        for number in (*sorted({row["n_modalities"] for row in rows}), None):
            own = [row for row in rows if row["region"] == region and number in (None, row["n_modalities"])]
            cells = {kind: _of(held, region, number) for kind, held in found.items()}
            after, fixed = (coverage(cells[kind], level) for kind in (True, False))
            band = binomial_band(level, after.checked) if after.checked else (math.nan, math.nan)
            lines.append(
                [
                    region,
                    "all" if number is None else str(number),
                    str(after.checked),
                    _percent(after.share),
                    f"{100 * band[0]:.0f} to {100 * band[1]:.0f}",
                    _percent(lowest_subset(cells[True], level)),
                    f"{after.log_width:.2f}",
                    _percent(fixed.share),
                    f"{fixed.log_width:.2f}",
                    _percent(draws_coverage(own).share),
                    *(f"{value:.2f}" for value in correlations(own)),
                ]
            )
    return lines


def _of(found: Sequence[HeldOut], region: str, number: int | None) -> list[HeldOut]:
    return [one for one in found if one.region == region and number in (None, one.n_modalities)]


def lowest_subset(found: Sequence[HeldOut], level: float) -> float:
    """The smallest share of true volumes inside, of a subset; NaN without any."""
    shares = []
    for subset in dict.fromkeys(one.subset for one in found):
        of_subset = coverage([one for one in found if one.subset == subset], level)
        if of_subset.checked:
            shares.append(of_subset.share)
    return min(shares, default=math.nan)


def correlations(rows: Sequence[Row]) -> tuple[float, float]:
    """Spearman's of disagreement and Dice, over all rows, and the mean of those within each subset."""
    known = [(row["subset"], row["disagreement"], row["dice"]) for row in rows if row["dice"] is not None]
    within = []
    for subset in dict.fromkeys(name for name, _, _ in known):
        within.append(_spearman([pair[1:] for pair in known if pair[0] == subset]))
    return _spearman([pair[1:] for pair in known]), float(np.nanmean(within)) if within else math.nan


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    one, other = np.array(pairs, dtype=float).reshape(-1, 2).T
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(spearmanr(one, other).statistic)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


if __name__ == "__main__":
    sys.exit(main())
