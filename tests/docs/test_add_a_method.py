"""The page on methods and optimisers of one's own: trained, predicted with, swept, and compared with ours."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from helpers.project.example_package import install, session

from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, EXT_TRAINER

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return install(Path("how-to/add-a-method.md"), tmp_path_factory.mktemp("package"))


def test_it_trains_predicts_is_swept_and_compared(tiny_dataset, package, tmp_path, monkeypatch):
    tiny_dataset.use(monkeypatch, tmp_path / "results")
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA", EXT_TRAINER)
    environment = {**package, **{name: os.environ[name] for name in names}, "nnUNet_def_n_proc": "1"}
    case = tiny_dataset.validation_cases[0]
    images = tmp_path / "images"
    images.mkdir()
    for file in (tiny_dataset.root / "raw" / "Dataset501_BraTS" / "imagesTr").glob(f"{case}_*"):
        (images / file.name).symlink_to(file)
    commands, swept = [], [tmp_path / "late", tmp_path / "ours"]
    for trainer, output in zip(("LateFusionTrainer", DEFAULT_TRAINER), swept, strict=True):
        model = ["-d", 501, "-c", "3d_fullres", "-f", 0, "-tr", trainer, "-device", "cpu"]
        commands.append(["train", 501, "3d_fullres", 0, "-tr", trainer, "-device", "cpu"])
        commands.append(["evaluate", *model, "--disable_tta", "--disable_progress_bar", "-o", output])
        if trainer == "LateFusionTrainer":
            images_to = ["-i", images, "-o", tmp_path / "out"]
            commands.append(["predict", *images_to, *model, "--missing", "T1c", "-npp", 0, "-nps", 0])
    commands.append(["compare", *swept, "--names", "late", "ours", "-o", tmp_path / "compared"])
    printed = session(environment, *commands)

    (plans,) = (tmp_path / "results").rglob("*LateFusionTrainer*/plans.json")
    assert json.loads(plans.read_text())["configurations"]["3d_fullres"]["hetero_modal"]["optimizer"] == "sign"
    assert (tmp_path / "out" / f"{case}.nii.gz").exists()
    for output in swept:
        with (output / "metrics.csv").open(newline="", encoding="utf-8") as stream:
            assert len({row["subset"] for row in csv.DictReader(stream)}) == 15
    assert "late" in printed and (tmp_path / "compared" / "report.html").exists()
