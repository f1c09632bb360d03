"""nnU-Net's own predictor does not get a model of ours."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from helpers.tiny_model import write_case
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.nnunet.stock_predictor import predicting_by


def test_from_python(nnunet_folders):
    with pytest.raises(SettingsError, match=r"model of HeteroModalVAETrainer.*From Python: .*HeteroModalPredictor"):
        nnUNetPredictor(device=torch.device("cpu")).initialize_from_trained_model_folder(
            str(nnunet_folders.folder), (0,)
        )
    HeteroModalPredictor.from_model_folder(nnunet_folders.folder, folds=0, device="cpu")


def test_by_nnunets_command_without_activation(nnunet_folders, tmp_path):
    """``nnunet_hetero env`` is set, as for training; there is no traceback, and nothing is written."""
    write_case(tmp_path / "in", "a", present=(0, 2))
    call = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as run; run()"
    flags = ("-i", tmp_path / "in", "-o", tmp_path / "out", "-d", "501", "-c", "3d_fullres", "-f", "0")
    done = subprocess.run(
        [sys.executable, "-c", call, *map(str, flags), "-tr", "HeteroModalVAETrainer", "-device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **nnunet_folders.environment()},
    )
    assert done.returncode == 1
    assert "error: nnU-Net's own predictor cannot predict with a model of HeteroModalVAETrainer" in done.stderr
    assert "nnunet_hetero predict" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_in_a_validation_another_function_predicts():
    """As nnU-Net's trainer asks its predictor; afterwards it is nnU-Net's again."""
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

    original = nnunet.nnUNetPredictor
    with pytest.raises(ZeroDivisionError), predicting_by(lambda data: 1 / data):
        predictor = nnunet.nnUNetPredictor(tile_step_size=0.5, device=torch.device("cpu"))
        predictor.manual_initialization("network", "plans", "configuration", None, {}, "trainer", (0, 1))
        assert predictor.predict_sliding_window_return_logits(4) == 0.25
        predictor.predict_sliding_window_return_logits(0)
    assert nnunet.nnUNetPredictor is original
