"""Prediction with missing modalities, on a tiny model with random weights."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_model import read_array, write_case, write_image, write_json, write_tiny_model

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.integration.predict_flags import PredictionOptions


def make_predictor(folder, folds=(0,), missing=(), available=(), **arguments) -> HeteroModalPredictor:
    arguments = {"use_mirroring": False, "allow_tqdm": False, "device": torch.device("cpu"), **arguments}
    predictor = HeteroModalPredictor(options=PredictionOptions(tuple(missing), tuple(available)), **arguments)
    predictor.initialize_from_trained_model_folder(str(folder), folds)
    return predictor


def predict(predictor, images, output, **arguments) -> dict[str, np.ndarray]:
    predictor.predict_from_files_sequential(str(images), str(output), **arguments)
    return {file.name.removesuffix(".nii.gz"): read_array(file) for file in sorted(output.glob("*.nii.gz"))}


@pytest.fixture(scope="module")
def predictors(tiny_model):
    """Make each predictor once: ``predictors(missing=["t1c"])``."""
    made = {}

    def get(**arguments):
        key = json.dumps(arguments, sort_keys=True)
        if key not in made:
            made[key] = make_predictor(tiny_model.folder, **arguments)
        return made[key]

    return get


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


class TestMissing:
    def test_switched_off_absent_and_empty_are_the_same(self, tmp_path, predictors):
        full, without, empty = tmp_path / "full", tmp_path / "without", tmp_path / "empty"
        for folder, present in ((full, None), (without, (0, 2, 3)), (empty, (0, 2, 3))):
            write_case(folder, "a", present)
        write_image(empty / "a_0001.nii.gz", np.zeros((20, 18, 22), np.int16))
        off = predict(predictors(missing=["t1c"]), full, tmp_path / "1", save_probabilities=True)["a"]
        results = [off]
        for number, folder in (("2", without), ("3", empty)):
            results.append(predict(predictors(), folder, tmp_path / number, save_probabilities=True)["a"])
        results.append(predict(predictors(available=["FLAIR", "0", "t2"]), full, tmp_path / "4")["a"])
        assert all((result == off).all() for result in results)
        probabilities = [np.load(tmp_path / number / "a.npz")["probabilities"] for number in "123"]
        assert all((p == probabilities[0]).all() for p in probabilities)
        everything = predict(predictors(), full, tmp_path / "5", save_probabilities=True)["a"]
        assert (np.load(tmp_path / "5" / "a.npz")["probabilities"] != probabilities[0]).any()
        assert off.shape == everything.shape == (20, 18, 22)
