"""The page on fusions of one's own: its package is installed, trained, predicted with and swept over all subsets."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import torch
from helpers.project.example_package import install, run_command, session

from nnunet_hetero.nnunet.environment import EXT_TRAINER

pytestmark = pytest.mark.slow

SHORT = ["num_epochs=1", "num_iterations_per_epoch=2", "num_val_iterations_per_epoch=1", "seed=1"]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return install(Path("how-to/add-a-fusion.md"), tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize(
    ("fusion", "trainer"), [("attention", "FeatureFusionTrainer"), ("mixture", "HeteroModalVAETrainer")]
)
def test_it_trains_predicts_and_is_swept(tiny_dataset, package, tmp_path, monkeypatch, fusion, trainer):
    tiny_dataset.use(monkeypatch, tmp_path / "results")
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA", EXT_TRAINER)
    environment = {**package, **{name: os.environ[name] for name in names}, "nnUNet_def_n_proc": "1"}
    plans = f"nnUNetPlans_{fusion}"
    case = tiny_dataset.validation_cases[0]
    images = tmp_path / "images"
    images.mkdir()
    for file in (tiny_dataset.root / "raw" / "Dataset501_BraTS" / "imagesTr").glob(f"{case}_*"):
        (images / file.name).symlink_to(file)
    model = ["-d", 501, "-c", "3d_fullres", "-f", 0, "-tr", trainer, "-p", plans, "-device", "cpu"]
    quick = [*model, "--disable_tta"]
    try:
        session(
            environment,
            ["plan", "-d", 501, "-c", "3d_fullres", "--set", f"fusion={fusion}", *SHORT, "--out_plans", plans],
            ["train", 501, "3d_fullres", 0, "-tr", trainer, "-p", plans, "-device", "cpu"],
            ["predict", "-i", images, "-o", tmp_path / "out", *quick, "--missing", "T1c", "-npp", 0, "-nps", 0],
            ["evaluate", *quick, "--disable_progress_bar", "-o", tmp_path / "swept"],
        )
    finally:
        (tiny_dataset.preprocessed / f"{plans}.json").unlink(missing_ok=True)
    (checkpoint,) = (tmp_path / "results").rglob("checkpoint_final.pth")
    weights = torch.load(checkpoint, weights_only=False)["network_weights"]
    assert ("fusions.0.score.weight" in weights) == (fusion == "attention")
    if fusion == "attention":
        assert weights["fusions.0.score.weight"].abs().max() > 0  # it began at 0

    assert (tmp_path / "out" / f"{case}.nii.gz").exists()
    with (tmp_path / "swept" / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        assert len({row["subset"] for row in csv.DictReader(stream)}) == 15

    # Where the package is not installed, the model is refused with what is missing.
    without = {**environment, "PYTHONPATH": ""}
    done = run_command(without, "predict", "-i", images, "-o", tmp_path / "other", *model)
    assert done.returncode == 1 and f"fusion is '{fusion}'" in done.stderr and "nnunet_hetero.fusions" in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.glob("other/*.nii.gz"))
