"""The demo: phantoms → convert → plan → train → predict with missing modalities → evaluate → report.html."""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.config import KEY
from nnunet_hetero.dataset_conversion.phantom import write_cohort
from nnunet_hetero.demo.from_scanner import ARRIVALS, FINEST_NEEDED, run_arrival
from nnunet_hetero.demo.plans import PLANNED, write_derived_plans
from nnunet_hetero.demo.result import write_result
from nnunet_hetero.demo.settings import (
    CONFIGURATION,
    DATASET,
    FOLD,
    HELD_OUT,
    HELD_OUT_DATASET,
    HELD_OUT_NAME,
    INCOMPLETE,
    INTERMEDIATE,
    LEVEL,
    MARKER,
    NAME,
    NARROW_FEATURES,
    PATCH,
    PLANS,
    TRAINER,
    DemoSettings,
)
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.integration.activation import activation_files
from nnunet_hetero.io.atomic_files import alone_in, is_of_turns
from nnunet_hetero.planning.plans_file import read_plans


def run_demo(settings: DemoSettings) -> Path:
    """Run the whole chain and write ``report.html``.

    Returns:
        The report.

    Raises:
        SettingsError: If the output folder has content that is not of a demo, or another demo is at work in it.
        StepFailed: If one of the commands fails.
    """
    out = _claim(settings.out)
    with alone_in(out):
        _empty(out)
        return _run_chain(settings, out)


def _run_chain(settings: DemoSettings, out: Path) -> Path:
    begin = time.monotonic()
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[variable] = str(out / variable)
        (out / variable).mkdir(exist_ok=True)
    # One process each: starting more of them costs more than they save on so little data.
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}
    steps = Steps(out, total=11)
    print(f"Everything goes to {out}. Training alone takes minutes on a CPU.")

    gaps = ", a third of them with gaps" if settings.incomplete else ""
    steps.say(f"Synthetic cohort: {settings.cases} phantoms to train on{gaps}, {HELD_OUT} held out")
    cohort, held_out = out / "cohort" / "train", out / "cohort" / "held_out"
    share = INCOMPLETE if settings.incomplete else 0.0
    write_cohort(cohort, settings.cases, settings.size, seed=1, progress=False, incomplete=share)
    write_cohort(held_out, HELD_OUT, settings.size, seed=1, first_index=settings.cases + 1, progress=False)
    print(f"    raw BraTS layout in {cohort.parent}")

    steps.say("Convert both to nnU-Net datasets")
    for raw, dataset, name in ((cohort, DATASET, NAME), (held_out, HELD_OUT_DATASET, HELD_OUT_NAME)):
        command = ["nnunet_hetero", "convert", "brats", "-i", str(raw), "-d", str(dataset), "--name", name, "-np", "1"]
        steps.run(f"convert_{dataset}", command)
    test = out / "nnUNet_raw" / f"Dataset{HELD_OUT_DATASET}_{HELD_OUT_NAME}"

    steps.say("Plan and preprocess with nnU-Net")
    plan = ["nnUNetv2_plan_and_preprocess", "-d", str(DATASET), "-c", CONFIGURATION, "-npfp", "1", "-np", "1"]
    steps.run("plan", [*plan, "--verify_dataset_integrity"])
    _write_demo_plans(out, settings)

    steps.say(f"Train one model for any subset of the modalities, {settings.epochs} short epochs")
    model = ["-c", CONFIGURATION, "-f", FOLD, "-tr", TRAINER, "-p", PLANS, "-device", "cpu"]
    train = ["nnUNetv2_train", str(DATASET), CONFIGURATION, FOLD, "-tr", TRAINER, "-p", PLANS, "-device", "cpu"]
    steps.run("train", train, show=r": Epoch \d+\s*$|Pseudo dice by|Mean Validation Dice|Training cases:")

    steps.say("Calibrate on the cases that it validates on, so that volumes get intervals")
    command = ["nnunet_hetero", "calibrate", "-d", str(DATASET), *model, "--level", str(LEVEL), "--disable_tta"]
    steps.run("calibrate", [*command, "--disable_progress_bar"], show=r"^Calibrated|^WARNING")

    steps.say("Predict the held-out cases: all modalities, without T1c, from FLAIR alone, with files really absent")
    incomplete = _without_files(test / "imagesTr", out / "held_out_incomplete")
    # Activation teaches nnU-Net's own command our flags; without it the same flags go to ours.
    predict = ["nnUNetv2_predict"] if activation_files() else ["nnunet_hetero", "predict"]
    for name, source, flags in (
        ("all", test / "imagesTr", ["--save_uncertainty"]),
        ("without_T1c", test / "imagesTr", ["--missing", "t1c", "--save_completed", "--save_uncertainty"]),
        ("only_FLAIR", test / "imagesTr", ["--available", "flair", "--save_completed", "--save_uncertainty"]),
        ("files_absent", incomplete, []),
    ):
        folders = ["-i", str(source), "-o", str(out / "predictions" / name)]
        options = ["-npp", "0", "-nps", "0", "--disable_tta"]  # without mirroring, as it was calibrated
        command = [*predict, *folders, "-d", str(DATASET), *model, *options, *flags]
        steps.run(f"predict_{name}", command)

    steps.say("Evaluate the held-out cases on all 15 subsets")
    evaluation = out / "evaluation"
    data = ["-i", str(test / "imagesTr"), "-l", str(test / "labelsTr"), "-o", str(evaluation)]
    evaluate = ["nnunet_hetero", "evaluate", "-d", str(DATASET), *model, *data, "--disable_tta", "--save_predictions"]
    steps.run("evaluate", [*evaluate, "--disable_progress_bar"], show=r"^\|")

    steps.say("A case from the scanner: stored another way round, and the patient moved between two scans")
    size = max(settings.size, FINEST_NEEDED)
    (name,) = write_cohort(cohort.parent / ARRIVALS, 1, size, seed=1, first_index=settings.cases + 1, progress=False)
    arriving = cohort.parent / ARRIVALS / name
    run_arrival(arriving, out, steps, predict, ["-d", str(DATASET), *model])

    steps.say("Report")
    report = write_result(out, test, arriving, steps, settings, time.monotonic() - begin)

    steps.say("Pages to look at the held-out cases, without T1c")
    pages = _write_pages(steps, out / "predictions" / "without_T1c", test / "labelsTr", evaluation / "predictions")

    steps.say("Clean up" if not settings.keep else "Keep the intermediate data")
    if not settings.keep:
        for name in INTERMEDIATE:
            shutil.rmtree(out / name)
        print(f"    removed {' and '.join(INTERMEDIATE)} (--keep keeps them)")
    print(
        f"\nDone in {(time.monotonic() - begin) / 60:.1f} minutes.\n"
        f"  report:      {report}\n  table:       {evaluation / 'table.md'}\n  pages:       {pages}\n"
        f"  predictions: {out / 'predictions'}\n  model:       {out / 'nnUNet_results'}"
    )
    return report


def _write_pages(steps: Steps, predictions: Path, labels: Path, of_subsets: Path) -> str:
    """Pages of the cases of one prediction, with the truth and what each subset says; returns where they are."""
    if importlib.util.find_spec("nilearn") is None:
        print("    left out: they need pip install 'nnunet-hetero[viewer]'")
        return "none; they need pip install 'nnunet-hetero[viewer]'"
    steps.run(
        "view",
        ["nnunet_hetero", "view", str(predictions), "--labels", str(labels), "--predictions", str(of_subsets)],
    )
    return str(predictions / "view" / "index.html")


def _claim(out: Path) -> Path:
    """Make the output folder, or take that of an earlier demo; one with anything else is not touched."""
    out = out.resolve()
    content = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if out.exists() and not out.is_dir():
        raise SettingsError(f"--out {out} is a file; name a folder.")
    if content and MARKER not in content:
        raise SettingsError(
            f"--out {out} has other content ({', '.join(content[:3])}{', ...' if len(content) > 3 else ''}). "
            "Name an empty folder or one of an earlier demo."
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("{}\n", encoding="utf-8")
    return out


def _empty(out: Path) -> None:
    """Remove what an earlier demo made; the marker stays, so that one that is stopped meanwhile can begin anew."""
    for path in out.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER and not is_of_turns(path.name):
            path.unlink()


def _write_demo_plans(out: Path, settings: DemoSettings) -> None:
    """nnU-Net's plans with narrow features, a small patch and a short training; the preprocessed data is shared."""
    folder = out / "nnUNet_preprocessed" / f"Dataset{DATASET}_{NAME}"
    planned = read_plans(folder, PLANNED)["configurations"][CONFIGURATION]
    training = {
        "num_epochs": settings.epochs,
        "num_iterations_per_epoch": settings.iterations_per_epoch,
        "num_val_iterations_per_epoch": settings.validation_iterations,
        "seed": 0,
    }
    small = [min(PATCH, edge) for edge in planned["patch_size"]]
    configuration = write_derived_plans(folder, PLANS, CONFIGURATION, training, NARROW_FEATURES, small)
    before, narrow = (entry["architecture"]["arch_kwargs"]["features_per_stage"] for entry in (planned, configuration))
    patch = "×".join(map(str, configuration["patch_size"]))
    print(f"    {PLANS}: features {before} → {narrow}, patch {patch}, and the training's length under '{KEY}'")


def _without_files(images: Path, target: Path) -> Path:
    """Copy the images, each case without one or two of its files, which differ from case to case."""
    target.mkdir()
    absent: Sequence[tuple[int, ...]] = ((1,), (3,), (0, 2), (2,), (0, 1), (1, 2), (0,), (2, 3))
    cases = sorted({path.name.rsplit("_", 1)[0] for path in images.glob("*.nii.gz")})
    for case, channels in zip(cases, absent, strict=False):
        for path in images.glob(f"{case}_*.nii.gz"):
            if int(path.name[: -len(".nii.gz")].rsplit("_", 1)[1]) not in channels:
                shutil.copy2(path, target / path.name)
    return target
