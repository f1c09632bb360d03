"""The trainers to compare with: a short training, prediction and evaluation by the commands, and their settings."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_dataset import DATASET, threads_for_processes
from helpers.tiny_model import read_array, write_json
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from nnunet_hetero.cli.main import main
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError

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
        switched_off: The modality that prediction is to do without.
        subsets: What it is evaluated on.
        validated: Whether nnU-Net's validation follows the training.
    """

    settings: dict = field(default_factory=dict)
    configuration: str = "3d_fullres"
    stochastic: bool = False
    completes: bool = False
    switched_off: str = "T1c"
    subsets: tuple[str, ...] = ("T1", "T1+FLAIR")
    validated: bool = False


VARIANTS = {
    "ModalityDropoutTrainer": Variant(),
    "SubsetTrainer": Variant({"subset": "T1+FLAIR"}, subsets=("T1+FLAIR",)),
    "UHeMISTrainer": Variant(validated=True),
    "HeMISTrainer": Variant(configuration="2d"),
    "UHVEDPaperTrainer": Variant(OURS, stochastic=True, completes=True),
    "ModDropPlusTrainer": Variant(),
    "DeMoSegTrainer": Variant(),
    "RFNetTrainer": Variant(),
    "M3AETrainer": Variant({"num_epochs": 4, "num_iterations_per_epoch": 1}),
    "DirectCompletionTrainer": Variant(completes=True),
    "MVAESamplingTrainer": Variant({"random_subsets": 2}, stochastic=True, completes=True),
}


@pytest.fixture(scope="module", params=VARIANTS)
def trained(request, tiny_dataset, tmp_path_factory):
    """Name of a trainer, its variant, and the folder of a model that it trained, found as by nnUNetv2_train."""
    name, variant = request.param, VARIANTS[request.param]
    root = tmp_path_factory.mktemp(name)
    plans = tiny_dataset.plans
    plans["plans_name"] = f"{name}Plans"
    plans["configurations"][variant.configuration][KEY] = {**FAST, **variant.settings}
    write_json(tiny_dataset.preprocessed / f"{name}Plans.json", plans)
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_dataset.use(monkeypatch, root / "results")
        threads_for_processes(monkeypatch)
        monkeypatch.setattr(LocalLogger, "plot_progress_png", lambda *_: None)
        trainer = get_trainer_from_args(
            "501", variant.configuration, 0, name, f"{name}Plans", continue_training=False, device=torch.device("cpu")
        )
        trainer.run_training()
        if variant.validated:
            trainer.perform_actual_validation()
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


@pytest.fixture(scope="module")
def images(tiny_dataset, tmp_path_factory) -> Path:
    """A folder with the images of one validation case; its label map is in the folder ``labels`` beside it."""
    root, raw = tmp_path_factory.mktemp("case"), tiny_dataset.root / "raw" / DATASET
    for folder, source in (("images", "imagesTr"), ("labels", "labelsTr")):
        (root / folder).mkdir()
        for file in (raw / source).glob(f"{tiny_dataset.validation_cases[0]}*"):
            shutil.copy(file, root / folder)
    return root / "images"


class TestCommands:
    def test_training(self, trained):
        _, variant, folder = trained
        series = json.loads((folder / "fold_0" / "progress_hetero.json").read_text())
        assert series["loss/segmentation"]["0"] is not None
        settings = json.loads((folder / "plans.json").read_text())["configurations"][variant.configuration][KEY]
        expected = {**variant.settings, **({"subset": [0, 3]} if "subset" in variant.settings else {})}
        assert {name: settings[name] for name in expected} == expected
        if variant.validated:
            summary = json.loads((folder / "fold_0" / "validation" / "summary.json").read_text())
            assert len(summary["metric_per_case"]) == 2

    def test_prediction_with_a_missing_modality(self, trained, images, tmp_path, capsys):
        """And without draws where there are no latents; the uncertainty is then the entropy alone."""
        _, variant, _ = trained
        flags = ["--missing", variant.switched_off, "--num_samples", "2", "--save_uncertainty"]
        assert predict(trained, images, tmp_path, *flags) == 0
        assert ("no latents to draw" in capsys.readouterr().out) == (not variant.stochastic)
        record = json.loads((tmp_path / "modalities.json").read_text())
        assert {entry["absent"].get(variant.switched_off) for entry in record.values()} == {"switched off"}
        labels = [read_array(file) for file in tmp_path.glob("*.nii.gz")]
        assert len(labels) == len(record) == 1
        assert set(np.unique(labels)) <= {0, 1, 2, 3}
        assert (tmp_path / "volumes.csv").is_file() == variant.stochastic
        maps = [file.name for file in (tmp_path / "uncertainty").glob("*.nii.gz")]
        assert any("entropy" in name for name in maps)
        assert any("mutual" in name for name in maps) == variant.stochastic

    def test_completion_or_a_clear_error(self, trained, images, tmp_path, capsys):
        _, variant, _ = trained
        code = predict(
            trained, images, tmp_path, "--missing", variant.switched_off, "--num_samples", "0", "--save_completed"
        )
        assert (code == 0) == variant.completes
        if not variant.completes:
            assert "without image decoders" in capsys.readouterr().err

    def test_evaluation(self, trained, images, tmp_path):
        name, variant, _ = trained
        command = [
            "evaluate",
            *model_flags(name, variant),
            *QUICK,
            "--disable_progress_bar",
            "-o",
            str(tmp_path / "out"),
        ]
        command += ["-i", str(images), "-l", str(images.parent / "labels")]
        # Without --subsets a network for one subset is evaluated on that.
        chosen = ["--subsets", *variant.subsets] if len(variant.subsets) > 1 else []
        assert main([*command, *chosen]) == 0
        subsets = json.loads((tmp_path / "out" / "summary.json").read_text())["subsets"]
        assert {entry["subset"] for entry in subsets} == set(variant.subsets)


@pytest.mark.parametrize("name", ["UHVEDPaperTrainer", "DirectCompletionTrainer", "MVAESamplingTrainer"])
def test_single_modalities_are_refused_by_what_cannot_segment_them(tiny_dataset, tmp_path, monkeypatch, name):
    plans = tiny_dataset.plans
    plans["plans_name"] = "SinglePlans"
    plans["configurations"]["3d_fullres"][KEY] = {**FAST, **OURS, "single_modality_weight": 0.5}
    write_json(tiny_dataset.preprocessed / "SinglePlans.json", plans)
    tiny_dataset.use(monkeypatch, tmp_path)
    arguments = ("501", "3d_fullres", 0, name, "SinglePlans")
    trainer = get_trainer_from_args(*arguments, continue_training=False, device=torch.device("cpu"))
    with pytest.raises(SettingsError, match=f"single_modality_weight is 0.5, which {name} cannot"):
        trainer.initialize()
