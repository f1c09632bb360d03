"""The trainers to compare with: a short training, prediction and evaluation by the commands, and their settings."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from helpers.tiny_dataset import DATASET, threads_for_processes
from helpers.tiny_model import read_array, write_json
from nnunetv2.run.run_training import run_training

from nnunet_hetero.cli.main import main
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.training.paper import UHVEDPaperTrainer
from nnunet_hetero.training.schedule import PlateauReachedError, StepDecay, require_progress
from nnunet_hetero.training.variants import ModalityDropoutTrainer, UHeMISTrainer

FAST = {"num_epochs": 1, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 2}
OURS = {"patch_size": "plan", "batch_size": "plan"}
QUICK = ("-device", "cpu", "--disable_tta")


@dataclass(frozen=True)
class Variant:
    """How a trainer is tried out.

    Args:
        settings: For ``hetero_modal``.
        configuration: Of the plans.
        stochastic: Whether its network has latents.
        completes: Whether it completes images.
    """

    settings: dict
    configuration: str = "3d_fullres"
    stochastic: bool = False
    completes: bool = False


VARIANTS = {
    "ModalityDropoutTrainer": Variant({}),
    "UHeMISTrainer": Variant({}),
    "UHVEDPaperTrainer": Variant(OURS, stochastic=True, completes=True),
}


@pytest.fixture(scope="module", params=VARIANTS)
def trained(request, tiny_dataset, tmp_path_factory):
    """Name of a trainer, its variant, and the folder of a model that the function behind nnUNetv2_train trained."""
    name, variant = request.param, VARIANTS[request.param]
    root = tmp_path_factory.mktemp(name)
    plans = tiny_dataset.plans
    plans["plans_name"] = f"{name}Plans"
    plans["configurations"][variant.configuration][KEY] = {**FAST, **variant.settings}
    write_json(tiny_dataset.preprocessed / f"{name}Plans.json", plans)
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_dataset.use(monkeypatch, root / "results")
        threads_for_processes(monkeypatch)
        run_training(
            "501", variant.configuration, "0", name, plans_identifier=f"{name}Plans", device=torch.device("cpu")
        )
        yield name, variant, root / "results" / DATASET / f"{name}__{name}Plans__{variant.configuration}"


def model_flags(name: str, variant: Variant) -> list[str]:
    return ["-d", "501", "-c", variant.configuration, "-f", "0", "-tr", name, "-p", f"{name}Plans"]


def predict(trained, images: Path, output: Path, *flags: str) -> int:
    name, variant, _ = trained
    command = ["predict", "-i", str(images), "-o", str(output), *model_flags(name, variant), *QUICK]
    try:
        return main([*command, "-npp", "0", "-nps", "0", *flags])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def images(tiny_dataset) -> Path:
    """A folder with one validation case."""
    return tiny_dataset.root / "raw" / DATASET / "imagesTr"


class TestCommands:
    def test_training_and_its_validation(self, trained):
        _, variant, folder = trained
        summary = json.loads((folder / "fold_0" / "validation" / "summary.json").read_text())
        assert len(summary["metric_per_case"]) == 2
        series = json.loads((folder / "fold_0" / "progress_hetero.json").read_text())
        assert series["loss/segmentation"]["0"] is not None
        settings = json.loads((folder / "plans.json").read_text())["configurations"][variant.configuration][KEY]
        assert {name: settings[name] for name in variant.settings} == variant.settings

    def test_prediction_with_a_missing_modality(self, trained, images, tmp_path):
        assert predict(trained, images, tmp_path / "all") == 0
        assert predict(trained, images, tmp_path / "some", "--missing", "t1c") == 0
        record = json.loads((tmp_path / "some" / "modalities.json").read_text())
        assert all(entry["absent"].get("T1c") == "switched off" for entry in record.values())
        labels = [read_array(file) for file in sorted((tmp_path / "some").glob("*.nii.gz"))]
        assert len(labels) == len(record) and all(0 <= label.min() and label.max() <= 3 for label in labels)

    def test_draws_only_where_there_are_latents(self, trained, images, tmp_path, capsys):
        _, variant, _ = trained
        assert predict(trained, images, tmp_path, "--num_samples", "2") == 0
        assert (tmp_path / "volumes.csv").is_file() == variant.stochastic
        assert ("no latents to draw" in capsys.readouterr().out) == (not variant.stochastic)

    def test_completion_or_a_clear_error(self, trained, images, tmp_path, capsys):
        name, variant, _ = trained
        code = predict(trained, images, tmp_path, "--missing", "t1c", "--save_completed")
        assert (code == 0) == variant.completes
        if not variant.completes:
            assert "without image decoders" in capsys.readouterr().err

    def test_evaluation_of_all_subsets(self, trained, tmp_path, capsys):
        name, variant, _ = trained
        assert main(["evaluate", *model_flags(name, variant), *QUICK, "-o", str(tmp_path)]) == 0
        assert "T1+T1c+T2+FLAIR" in capsys.readouterr().out
        assert len(json.loads((tmp_path / "summary.json").read_text())["subsets"]) == 15
