"""Predictions of the tiny model in this process, and what they wrote."""

from __future__ import annotations

import json

import numpy as np
import torch

from helpers.tiny_model import read_array
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor


def make_predictor(folder, folds=(0,), checkpoint="checkpoint_final.pth", **arguments) -> HeteroModalPredictor:
    """A predictor on the CPU without mirroring, by default of two draws; ``missing`` and ``available`` are options."""
    sampling = SamplingOptions(arguments.pop("num_samples", 2))
    options = PredictionOptions(tuple(arguments.pop("missing", ())), tuple(arguments.pop("available", ())), sampling)
    arguments = {"use_mirroring": False, "allow_tqdm": False, "device": torch.device("cpu"), **arguments}
    predictor = HeteroModalPredictor(options=options, **arguments)
    predictor.initialize_from_trained_model_folder(str(folder), folds, checkpoint)
    return predictor


def predict(predictor, images, output, **arguments) -> dict[str, np.ndarray]:
    """Predict in this process; label maps by case."""
    predictor.predict_from_files_sequential(str(images), str(output), **arguments)
    return label_maps(output)


def label_maps(output) -> dict[str, np.ndarray]:
    """The label maps in a folder, by case."""
    return {file.name.removesuffix(".nii.gz"): read_array(file) for file in sorted(output.glob("*.nii.gz"))}


def probabilities(output, case="a") -> np.ndarray:
    """Those of a case in a folder."""
    return np.load(output / f"{case}.npz")["probabilities"]


def modalities_json(output) -> dict:
    """What the folder's ``modalities.json`` says."""
    return json.loads((output / "modalities.json").read_text())
