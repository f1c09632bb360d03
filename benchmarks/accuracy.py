"""Which method segments best at equal cost: trained alike, evaluated on all subsets of cases held out.

    python benchmarks/accuracy.py --data phantom --features 16 32 64 96 --patch 32 32 32 --steps 400
    python benchmarks/accuracy.py --data BRATS --spacing 4 --features 16 32 64 96 --steps 1500 --jobs 2
    python benchmarks/accuracy.py --data BRATS --steps 250000                # full resolution, nnU-Net's plan, a GPU
    python benchmarks/accuracy.py ... --unlabelled 20 --methods ours --variant labelled_alone unlabelled_share=0
    python benchmarks/accuracy.py ... --methods ours dropout --variant no_kl ours kl_weight=0 --seeds 0 1

The data (a raw BraTS folder, or phantoms) is converted, divided into folds, planned and preprocessed once. Each method
is trained for the same number of steps with the same plan and seeds, and segments the cases of the fold that is held
out from each subset of their modalities (posterior mean, no mirroring). Printed are means per region, number of
modalities and subset; beside them time, memory and parameters of a training step, as a ratio to nnU-Net's plain U-Net;
and how close completed images are to the real ones.

Five folds and two seeds are the protocol for decisions. Each method is compared with one of them (--against) case by
case, the mean over subsets and seeds: difference, 95 % interval and Wilcoxon's p, per region and number of modalities.

The output folder has a folder for each training (runs/METHOD/seed_S/fold_K). What is finished is not repeated, and an
interrupted training is continued: run the same command again. --jobs N trains N at once, a thread each; a second call
on the same folder, for other methods, shares the work. Every call writes its table and CSV files to a new folder in
results/. Methods: ours, dropout (plain U-Net, channels dropped), uhemis, paper (U-HVED as published), mvae, or a
trainer's name. dropout and uhemis learn by nnU-Net's SGD, dropout_muon and uhemis_muon by our network's Muon.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from head_to_head.data import PHANTOM, Setup, claim, prepare, set_variables
from head_to_head.methods import choose_methods, settled, training_length

from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.errors import HeteroError, SettingsError
from nnunet_hetero.evaluation.scores.registry import all_metrics
from nnunet_hetero.io.atomic_files import alone_in
from nnunet_hetero.io.console import GO_ON
from nnunet_hetero.io.stopping.requests import requests_to_stop, stopped_by_user

HERE = Path(__file__).resolve().parent

DEFAULT_METHODS = ["ours", "dropout", "dropout_muon", "uhemis", "uhemis_muon", "paper"]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--data", required=True, metavar="DIR", help=f"raw BraTS folder, or '{PHANTOM}'")
    found.add_argument("--out", type=Path, default=Path("accuracy_output"), help="output folder (%(default)s)")
    found.add_argument("--methods", nargs="*", default=DEFAULT_METHODS, metavar="NAME")
    found.add_argument(
        "--variant",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "METHOD KEY=VALUE"),
        help="one more method: another one (default ours) with other settings; may be repeated",
    )
    found.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings for all methods")
    found.add_argument("--steps", type=int, default=1500, help="training steps, rounded up to epochs (%(default)s)")
    found.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="a training for each (%(default)s)")
    found.add_argument("--folds", type=int, default=Setup.folds, help="K, number of folds (%(default)s)")
    found.add_argument("--only-folds", type=int, nargs="+", metavar="FOLD", help="run some of the folds only")
    found.add_argument("--spacing", type=float, metavar="MM", help="voxel edge of the training (nnU-Net's choice)")
    found.add_argument("--features", type=int, nargs="+", help="of every level of the plan (nnU-Net's)")
    found.add_argument("--patch", type=int, nargs=3, help="voxels (nnU-Net's)")
    found.add_argument("--batch", type=int, help="samples in a step (nnU-Net's)")
    found.add_argument("--cases", type=int, default=Setup.cases, help="number of phantoms (%(default)s)")
    found.add_argument("--size", type=int, default=Setup.size, help="edge of a phantom in voxels (%(default)s)")
    found.add_argument(
        "--unlabelled",
        type=int,
        default=Setup.unlabelled,
        metavar="N",
        help="cases without their segmentation, in the training of every fold (%(default)s); those who cannot learn "
        "from them leave them out, and so does a variant with unlabelled_share=0",
    )
    found.add_argument("--metrics", nargs="+", choices=("all", *all_metrics()), default=["dice"], metavar="METRIC")
    found.add_argument("--repeats", type=int, default=40, help="timed steps of each method (%(default)s)")
    found.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="trainings at once, a thread each (%(default)s)"
    )
    found.add_argument("--against", metavar="METHOD", help="what all others are compared with (the first method)")
    found.add_argument("--processes", type=int, default=max(1, min(8, (os.cpu_count() or 2) // 2)))
    found.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of trainings on a CPU; bfloat16 is about as on a GPU, and faster where the CPU has it (%(default)s)",
    )
    found.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = parser().parse_args(arguments)
    try:
        with requests_to_stop(GO_ON):
            return run(args)
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        return stopped_by_user(interrupt, GO_ON)


def run(args: argparse.Namespace) -> int:
    """Prepare, measure, train, evaluate, report; several calls share the trainings of one output folder."""
    _require_possible(args)
    setup = Setup(args.data, args.spacing, args.folds, args.cases, args.size, args.unlabelled)
    methods = choose_methods(args.methods, args.variant, args.set)
    against = _reference(args.against, [method.name for method in methods])
    out = claim(args.out, setup)
    set_variables(out)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    os.environ.setdefault("nnUNet_def_n_proc", str(args.processes))
    for method in methods:  # before anything takes long
        settled(method, method.settings)

    # Late: nnU-Net reads its variables when it is imported.
    import torch
    from head_to_head.cost import measured_cost
    from head_to_head.gather import gather
    from head_to_head.precision import require_fast
    from head_to_head.report import new_folder, write_report
    from head_to_head.runs import PlanChanges, TrainingRun
    from head_to_head.side_by_side import expected, run_all

    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("There is no CUDA device that torch can use; choose --device cpu.")
    require_fast(args.precision, device)
    if device == "cpu":
        # More loaders than that take the cores from the training.
        os.environ.setdefault("nnUNet_n_proc_DA", "1")
    folds = args.only_folds or range(args.folds)
    length, changes = training_length(args.steps), PlanChanges(args.features, args.patch, args.batch)
    runs = [
        TrainingRun(out, method, seed, fold, {**method.settings, **length, "seed": seed}, changes, args.precision)
        for fold in folds
        for seed in args.seeds
        for method in methods
    ]
    steps = Steps(out, total=len(runs) + 3)

    with alone_in(out, wait=True):
        steps.say(f"Data: {setup.data}")
        prepare(out, setup, steps, args.processes)
        for training in runs:
            training.begin()
        steps.say("Time and memory of a training step, all methods in turns")
        cost = measured_cost(out, steps, runs, device, args.repeats)
    print(f"    {expected(runs, cost, args.jobs)}", flush=True)
    run_all(runs, steps, device, args.metrics, args.jobs)

    steps.say("Results")
    findings = gather(runs, cost, against)
    folder = new_folder(out / "results")
    print(f"\n{write_report(folder, findings, {**vars(args), 'out': str(out), 'device': device})}")
    print(f"Written to {folder}: table.md and CSV files. Each training with its evaluation: {out / 'runs'}")
    return 0


def _reference(asked: str | None, names: Sequence[str]) -> str:
    """The method that all others are compared with."""
    if asked is not None and asked not in names:
        raise SettingsError(f"--against {asked}: it must be one of the methods of this call, {', '.join(names)}.")
    return asked or names[0]


def _require_possible(args: argparse.Namespace) -> None:
    for flag in ("steps", "batch", "repeats", "processes", "jobs"):
        value = getattr(args, flag)
        if value is not None and value < 1:
            raise SettingsError(f"--{flag} is {value}; it must be at least 1.")
    wrong = [fold for fold in args.only_folds or () if not 0 <= fold < args.folds]
    if wrong:
        raise SettingsError(f"--only-folds {wrong[0]}: with --folds {args.folds} there are 0 to {args.folds - 1}.")
    for flag, values in (("seeds", args.seeds), ("only-folds", args.only_folds or [])):
        if len(set(values)) < len(values) or any(value < 0 for value in values):
            raise SettingsError(f"--{flag} {' '.join(map(str, values))}: each must be there once, and 0 or more.")


if __name__ == "__main__":
    sys.exit(main())
