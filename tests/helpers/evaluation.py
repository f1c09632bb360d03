"""Evaluation of the tiny model from Python, as the command does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from helpers.tiny_model import TinyModel, read_array, write_case
from nnunet_hetero.evaluation.sweep.model import EvaluationResult, evaluate_model
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

REGIONS = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}


def labelled_folders(root: Path, seed: int = 3) -> dict[str, Path]:
    """A folder of images and one of labels, with one case ``a`` of this seed, and where results go."""
    write_case(root / "images", "a", seed=seed, labels=root / "labels")
    return {"images": root / "images", "labels": root / "labels", "output": root / "out"}


def evaluate(model: TinyModel, folds=0, **arguments) -> EvaluationResult:
    """`evaluate_model` on the CPU, without mirroring."""
    sampling = SamplingOptions(arguments.pop("num_samples", 0), arguments.pop("seed", 0))
    arguments = {"device": "cpu", "mirroring": False, "progress": False, "sampling": sampling, **arguments}
    return evaluate_model(EvaluationRequest(model.folder, folds, **arguments))


def predict_alone(
    model: TinyModel, folders: dict[str, Path], subset: str, output: Path, folds=(0,), mirroring=False, **sampling
) -> np.ndarray:
    """Label map of case ``a`` as ``nnUNetv2_predict --available SUBSET`` writes it."""
    predictor = HeteroModalPredictor(
        options=PredictionOptions(available=(subset,), sampling=SamplingOptions(**sampling)),
        use_mirroring=mirroring,
        allow_tqdm=False,
        device=torch.device("cpu"),
    )
    predictor.initialize_from_trained_model_folder(str(model.folder), folds)
    predictor.predict_from_files_sequential(str(folders["images"]), str(output))
    return read_array(output / "a.nii.gz")
