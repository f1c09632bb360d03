"""A calibration of the tiny model: three patients, one draw, no mirroring, a level that needs a single patient."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.tiny_model import TinyModel
from nnunet_hetero.calibration.request import CalibrationRequest
from nnunet_hetero.calibration.run import CalibrationResult, calibrate_model
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

ONE_DRAW = SamplingOptions(1)


def calibrate(folder: Path, **arguments) -> CalibrationResult:
    """`calibrate_model` on the CPU; what the shared calibration was made with, unless told otherwise."""
    common = {"level": 0.5, "device": "cpu", "mirroring": False, "progress": False, "sampling": ONE_DRAW}
    return calibrate_model(CalibrationRequest(folder, **{**common, **arguments}))


def copy_and_calibrate(model: TinyModel, root: Path, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """A copy of the model's results with a calibration."""
    for name, value in model.environment().items():
        monkeypatch.setenv(name, value)
    shutil.copytree(model.results, root / "results")
    copied = replace(model, results=root / "results", folder=root / model.folder.relative_to(model.results.parent))
    calibrate(copied.folder)
    return copied


def predictor_of(
    model: TinyModel, folds=None, sampling: SamplingOptions = ONE_DRAW, **arguments
) -> HeteroModalPredictor:
    """What predicts as the calibration wants it, unless told otherwise."""
    options = PredictionOptions(sampling=sampling)
    common = {"options": options, "use_mirroring": False}
    return HeteroModalPredictor.from_model_folder(model.folder, folds, "cpu", **{**common, **arguments})
