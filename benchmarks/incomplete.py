"""What are cases with gaps worth? A model of the complete third of a cohort against one of the whole cohort:

    python benchmarks/incomplete.py --out DIR [--seeds 0 1 2] [--cases 3] [--steps 1500]

For each seed a synthetic cohort is written in which two thirds of the cases lack one to three of the four modalities,
at random, and eight complete cases more, to test on. Both models have the same plans, number of steps, initial weights
and settings; one trains on the complete cases only (all that is possible where no modality may lack), the other on all.
With the defaults that is one patient against three, for as long as is meant to make patients what lacks, not steps.
Each is evaluated on the held-out cases under all 15 subsets (posterior's mean, no mirroring).

Written: results.csv (one row per seed, training, case, subset and region), summary.json, table.md. A run that was
stopped continues. Ends with 1 if the whole cohort does not win on the mean over the 15 subsets.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nnunet_hetero.dataset_conversion.phantom import case_name, write_cohort
from nnunet_hetero.demo.plans import write_derived_plans
from nnunet_hetero.demo.settings import NARROW_FEATURES, PATCH
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.errors import HeteroError, SettingsError
from nnunet_hetero.io.atomic_files import alone_in, replace_json, replace_text
from nnunet_hetero.io.documents import Document
from nnunet_hetero.nnunet.json_files import DATASET_JSON

DATASET, NAME, CONFIGURATION = 511, "PhantomWithGaps", "3d_fullres"
PLANS, TRAINER = "nnUNetPlansIncomplete", "HeteroModalVAETrainer"
INCOMPLETE = 2 / 3
HELD_OUT = 8
TRAININGS = {"complete cases only": "0", "whole cohort": "1"}
"""What is compared, and its fold."""
EXPERIMENT = Document(dict[str, int | float], "what the experiment of this folder is", "Name another --out.")


@dataclass(frozen=True)
class Experiment:
    """What must be the same in all runs of one folder.

    Args:
        cases: Cases to train on, a multiple of 3.
        steps: Training steps.
        size: Edge of a phantom, in voxels.
        variation: How much patients differ, see `write_cohort`.
        absent: Probability of each modality to be absent in a case with gaps.
    """

    cases: int = 3
    steps: int = 1500
    size: int = 48
    variation: float = 3.0
    absent: float = 0.3

    def __post_init__(self) -> None:
        if self.cases < 3 or self.cases % 3:
            raise SettingsError(f"--cases is {self.cases}; it must be a multiple of 3, a third of them is complete.")
        if self.steps < 1:
            raise SettingsError(f"--steps is {self.steps}; it must be 1 or more.")


def run_seed(out: Path, experiment: Experiment, seed: int) -> Iterator[dict]:
    """Train and evaluate both models of a seed, as far as that is not done; rows of the results."""
    folder = out / f"seed_{seed}"
    folder.mkdir(exist_ok=True)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[variable] = str(folder / variable)
        (folder / variable).mkdir(exist_ok=True)
    steps = Steps(folder, total=1 + len(TRAININGS))
    steps.say(f"Seed {seed}: cohort, planning and preprocessing")
    if not (folder / "prepared.json").is_file():
        prepare(folder, experiment, seed, steps)
        replace_json(folder / "prepared.json", {"seed": seed})
    fold_folder = folder / "nnUNet_results" / f"Dataset{DATASET}_{NAME}" / f"{TRAINER}__{PLANS}__{CONFIGURATION}"
    for training, fold in TRAININGS.items():
        steps.say(f"Seed {seed}: {training}")
        place = fold_folder / f"fold_{fold}"
        if not (place / "checkpoint_final.pth").is_file():
            # Continues where there is a checkpoint.
            train = [sys.executable, "-m", "head_to_head.training", str(DATASET), CONFIGURATION, fold]
            steps.run(f"train_{fold}", [*train, TRAINER, PLANS, "cpu"], show=r": Epoch \d+\s*$|With exactly")
        if not (place / "evaluation" / "summary.json").is_file():
            model = ["-d", str(DATASET), "-c", CONFIGURATION, "-f", fold, "-tr", TRAINER, "-p", PLANS, "-device", "cpu"]
            flags = ["--disable_tta", "--metrics", "dice", "--disable_progress_bar"]
            steps.run(f"evaluate_{fold}", ["nnunet_hetero", "evaluate", *model, *flags])
        with (place / "evaluation" / "metrics.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield {"seed": seed, "training": training, **row}


def prepare(folder: Path, experiment: Experiment, seed: int, steps: Steps) -> None:
    """Write, convert, plan and preprocess the cohort; fold 0 trains on the complete cases, fold 1 on all."""
    common = {name: getattr(experiment, name) for name in ("size", "variation", "absent")}
    common |= {"seed": seed, "progress": False}
    for name, cases, first, incomplete in (
        ("cohort", experiment.cases, 1, INCOMPLETE),
        ("held_out", HELD_OUT, experiment.cases + 1, 0.0),
    ):
        names = write_cohort(folder / name, cases, first_index=first, incomplete=incomplete, **common)
        for case in names:  # one raw folder for the converter
            link = folder / "raw" / case
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(folder / name / case, target_is_directory=True)
    convert = ["nnunet_hetero", "convert", "brats", "-i", str(folder / "raw"), "-d", str(DATASET), "--name", NAME]
    steps.run("convert", [*convert, "-np", "1"])
    plan = ["nnUNetv2_plan_and_preprocess", "-d", str(DATASET), "-c", CONFIGURATION, "-npfp", "1", "-np", "1"]
    steps.run("plan", plan)

    epochs = max(1, experiment.steps // 30)
    training = {
        "num_epochs": epochs,
        "num_iterations_per_epoch": experiment.steps // epochs,
        "num_val_iterations_per_epoch": 4,
        "optimizer": "AdamW",
        "initial_lr": 2e-3,
        "seed": seed,
    }
    preprocessed = folder / "nnUNet_preprocessed" / f"Dataset{DATASET}_{NAME}"
    write_derived_plans(preprocessed, PLANS, CONFIGURATION, training, NARROW_FEATURES, [PATCH] * 3)
    gaps = DATASET_JSON.read(preprocessed / "dataset.json")["missing_modalities"]
    cases = [case_name(index) for index in range(1, experiment.cases + 1)]
    held_out = [case_name(index) for index in range(experiment.cases + 1, experiment.cases + HELD_OUT + 1)]
    complete = [case for case in cases if case not in gaps]
    replace_json(preprocessed / "splits_final.json", [{"train": part, "val": held_out} for part in (complete, cases)])
    print(f"    {len(cases)} cases to train on, {len(complete)} of them complete; gaps: {gaps}")


def summarise(rows: list[dict]) -> dict:
    """Mean Dice in % by training: over all subsets, by region, by number of modalities, and per seed."""
    regions = list(dict.fromkeys(row["region"] for row in rows))
    sizes = sorted({row["n_modalities"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})

    def mean(training: str, **wanted) -> float:
        # Each subset counts once, then each region, then each seed.
        values: dict[tuple, list[float]] = {}
        for row in rows:
            if row["training"] == training and all(row[key] == value for key, value in wanted.items()):
                values.setdefault((row["seed"], row["region"], row["subset"]), []).append(float(row["dice"] or "nan"))
        return 100 * float(np.nanmean([np.nanmean(entry) for entry in values.values()]))

    summary = {"seeds": seeds}
    for training in TRAININGS:
        summary[training] = {
            "mean": mean(training),
            "regions": {region: mean(training, region=region) for region in regions},
            "modalities": {size: mean(training, n_modalities=size) for size in sizes},
            "per seed": {str(seed): mean(training, seed=seed) for seed in seeds},
        }
    complete, whole = (summary[training]["per seed"] for training in TRAININGS)
    differences = [whole[seed] - complete[seed] for seed in whole]
    summary["difference"] = {
        "mean": float(np.mean(differences)),
        "sd": float(np.std(differences, ddof=1)) if len(seeds) > 1 else None,
    }
    return summary


def table(summary: dict) -> str:
    """Both trainings side by side, as Markdown."""
    titles = list(TRAININGS)
    lines = [f"| mean Dice, % | {titles[0]} | {titles[1]} | difference |", "|---|---|---|---|"]

    def line(what: str, *keys: str) -> None:
        found = []
        for title in titles:
            value = summary[title]
            for key in keys:
                value = value[key]
            found.append(value)
        lines.append(f"| {what} | {found[0]:.1f} | {found[1]:.1f} | {found[1] - found[0]:+.1f} |")

    line("all 15 subsets", "mean")
    for region in summary[titles[0]]["regions"]:
        line(region.replace("_", " "), "regions", region)
    for size in summary[titles[0]]["modalities"]:
        line(f"{size} modalit{'y' if size == '1' else 'ies'} given", "modalities", size)
    for seed in summary["seeds"]:
        line(f"15 subsets, seed {seed}", "per seed", str(seed))
    return "\n".join(lines)


def main() -> int:
    """Run the seeds, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="Output folder.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="Default: 0 1 2")
    for name, value in asdict(Experiment()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help="Default: %(default)s")
    args = parser.parse_args()
    try:
        experiment = Experiment(args.cases, args.steps, args.size, args.variation, args.absent)
        out = args.out.resolve()
        out.mkdir(parents=True, exist_ok=True)
        before = EXPERIMENT.read_if_there(out / "experiment.json")
        if before not in (None, asdict(experiment)):
            raise SettingsError(f"{out} holds an experiment with {before}, asked for is {asdict(experiment)}.")
        with alone_in(out):
            replace_json(out / "experiment.json", asdict(experiment))
            rows = [row for seed in args.seeds for row in run_seed(out, experiment, seed)]
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(out / "results.csv", text.getvalue())
    summary = summarise(rows)
    replace_json(out / "summary.json", summary)
    replace_text(out / "table.md", table(summary) + "\n")
    print(f"\n{table(summary)}\n")
    won = summary["difference"]["mean"] > 0
    print(f"The whole cohort {'wins' if won else 'does not win'}: {summary['difference']['mean']:+.2f} points of Dice.")
    return 0 if won else 1


if __name__ == "__main__":
    sys.exit(main())
