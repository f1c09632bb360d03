"""The data that all methods share: converted, divided into folds, planned and preprocessed once."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from head_to_head.records import CLAIM_RECORD
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.atomic_files import replace_json

DATASET, NAME, CONFIGURATION = 501, "Benchmark", "3d_fullres"
PHANTOM = "phantom"
CLAIM, DONE = "benchmark.json", "prepared.json"
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


@dataclass(frozen=True)
class Setup:
    """What the data depends on.

    Args:
        data: Folder in a raw BraTS layout, or ``phantom``.
        spacing: Edge of a voxel that nnU-Net resamples to, mm; None leaves the choice to nnU-Net.
        folds: K, number of folds.
        cases: Number of phantoms.
        size: Edge of a phantom in voxels.
        unlabelled: How many cases are trained on without their segmentation, and never tested on.
    """

    data: str
    spacing: float | None = None
    folds: int = 5
    cases: int = 42
    size: int = 48
    unlabelled: int = 0

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise SettingsError(f"--folds is {self.folds}; cases are held out in 2 folds or more.")
        if self.spacing is not None and self.spacing <= 0:
            raise SettingsError(f"--spacing is {self.spacing}; it must be above 0 mm.")
        if self.data != PHANTOM and not Path(self.data).is_dir():
            raise DataError(f"--data {self.data} is no folder. Name a raw BraTS folder, or '{PHANTOM}'.")
        if self.data == PHANTOM and self.cases < 2 * self.folds:
            raise SettingsError(f"--cases is {self.cases}; {self.folds} folds need {2 * self.folds} phantoms or more.")

        if self.unlabelled < 0:
            raise SettingsError(f"--unlabelled is {self.unlabelled}; it must be 0 or more.")

    def described(self) -> dict[str, Any]:
        """As JSON; a folder by its whole path, and for real data nothing of phantoms."""
        if self.data == PHANTOM:
            found = dataclasses.asdict(self)
        else:
            found = {"data": str(Path(self.data).resolve()), "spacing": self.spacing, "folds": self.folds}
        return found | {"unlabelled": self.unlabelled}


def claim(out: Path, setup: Setup) -> Path:
    """Make the output folder, or recognise it as that of an earlier run with the same data.

    Raises:
        SettingsError: If it has other content, or its data is other.
    """
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise SettingsError(f"--out {out} is a file; name a folder.")
    content = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    earlier, asked = CLAIM_RECORD.read_if_there(out / CLAIM) or {}, setup.described()
    if content and not earlier:
        raise SettingsError(
            f"--out {out} has other content ({', '.join(content[:3])}{', ...' if len(content) > 3 else ''}). Name an "
            "empty folder or one of an earlier run of this benchmark."
        )
    if earlier:
        refuse_changes(earlier, asked, f"The data in {out}", "Name another --out for other data.")
    out.mkdir(parents=True, exist_ok=True)
    replace_json(out / CLAIM, asked)
    return out


def refuse_changes(earlier: dict[str, Any], asked: dict[str, Any], what: str, remedy: str) -> None:
    """Refuse to mix results of different settings; a setting that is new since then is only told.

    Raises:
        SettingsError: Names the settings that differ.
    """
    differences = [
        f"{key} {value!r}, now asked for is {asked.get(key)!r}"
        for key, value in earlier.items()
        if value != asked.get(key)
    ]
    if differences:
        raise SettingsError(f"{what} was made with {'; '.join(differences)}. {remedy}")
    new = [f"{key} {asked[key]!r}" for key in asked if key not in earlier]
    if new:
        print(f"    {what} is from a version without the setting(s) {', '.join(new)}.", flush=True)


def set_variables(out: Path) -> None:
    """Point nnU-Net's variables at the folders below the output; before nnU-Net is imported."""
    for variable in FOLDERS:
        os.environ[variable] = str(out / variable)
        (out / variable).mkdir(exist_ok=True)


def prepare(out: Path, setup: Setup, steps: Steps, processes: int) -> None:
    """Convert, divide into folds, plan and preprocess, unless that is done.

    Args:
        out: From `claim`.
        setup: Which data.
        steps: Runs the commands.
        processes: For converting and preprocessing.

    Raises:
        StepFailed: If one of the commands fails.
    """
    if (out / DONE).is_file():
        print("    done before", flush=True)
        return
    for variable in FOLDERS[:2]:  # of a run that was interrupted
        shutil.rmtree(out / variable)
        (out / variable).mkdir()
    raw, number, workers = setup.data, str(DATASET), str(processes)
    if setup.data == PHANTOM:
        raw = str(out / "cohort")
        cohort = ["--cases", str(setup.cases), "--size", str(setup.size), "--seed", "1"]
        steps.run("phantom", ["nnunet_hetero", "convert", "phantom", "-o", raw, *cohort])
    convert = ["-d", number, "--name", NAME, "-np", workers]
    if setup.unlabelled:
        raw = str(_without_labels(Path(raw), out / "partly_labelled", setup.unlabelled, setup.folds))
        convert += ["--unlabelled", "train"]
    steps.run("convert", ["nnunet_hetero", "convert", "brats", "-i", raw, *convert])
    folds = ["--scheme", "kfold", "--folds", str(setup.folds), "--seed", "0"]
    steps.run("splits", ["nnunet_hetero", "splits", "-d", number, *folds])
    plan = ["nnUNetv2_plan_and_preprocess", "-d", number, "-c", CONFIGURATION, "-npfp", workers, "-np", workers]
    if setup.spacing is not None:
        plan += ["-overwrite_target_spacing", *[f"{setup.spacing:g}"] * 3]
    steps.run("plan", [*plan, "--verify_dataset_integrity"])
    replace_json(out / DONE, setup.described())


def _without_labels(raw: Path, target: Path, number: int, folds: int) -> Path:
    """A copy of a raw BraTS folder, by links, in which some cases, drawn by chance, have no segmentation.

    Raises:
        SettingsError: If fewer than two cases a fold would keep theirs.
    """
    segmentations = sorted(raw.resolve().rglob("*seg.nii*"))
    if len(segmentations) - number < 2 * folds:
        raise SettingsError(
            f"--unlabelled {number}: of {len(segmentations)} cases with a segmentation {2 * folds} or more must keep "
            f"it, for {folds} folds."
        )
    left_out = {str(path) for path in random.Random(0).sample(segmentations, number)}
    shutil.rmtree(target, ignore_errors=True)
    return Path(
        shutil.copytree(
            raw.resolve(),
            target,
            copy_function=os.symlink,
            ignore=lambda folder, names: {name for name in names if os.path.join(folder, name) in left_out},
        )
    )


def preprocessed_folder(out: Path) -> Path:
    """The dataset's folder in ``nnUNet_preprocessed``."""
    return out / "nnUNet_preprocessed" / f"Dataset{DATASET}_{NAME}"
