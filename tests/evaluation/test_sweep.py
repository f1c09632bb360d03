"""The sweep over subsets, on a tiny model with random weights."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_model import read_array, write_case, write_image

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.model import evaluate_model
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.integration.predict_flags import PredictionOptions


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def evaluate(model, **arguments):
    arguments = {"device": torch.device("cpu"), "mirroring": False, "progress": False, **arguments}
    return evaluate_model(model.folder, **arguments)


class TestAgreesWithPrediction:
    def test_label_maps_are_those_of_prediction(self, tiny_model, tmp_path):
        """T2 and FLAIR have larger heads than T1 and T1c: nnU-Net's crop and normalisation depend on the subset."""
        images, labels = tmp_path / "images", tmp_path / "labels"
        write_case(images, "a", seed=3, labels=labels)
        subsets = ["T1", "T2", "T1+T1c", "T1c+T2", "T2+FLAIR", "T1+T1c+T2+FLAIR"]
        swept = evaluate(
            tiny_model,
            folds=0,
            images=images,
            labels=labels,
            subsets=subsets,
            output=tmp_path / "swept",
            save_predictions=True,
        )
        assert {row["subset"] for row in swept.evaluation.rows} == set(subsets)
        maps = []
        for subset in subsets:
            predictor = HeteroModalPredictor(
                options=PredictionOptions(available=(subset,)),
                use_mirroring=False,
                allow_tqdm=False,
                device=torch.device("cpu"),
            )
            predictor.initialize_from_trained_model_folder(str(tiny_model.folder), [0])
            predictor.predict_from_files_sequential(str(images), str(tmp_path / subset))
            predicted = read_array(tmp_path / subset / "a.nii.gz")
            maps.append(read_array(tmp_path / "swept" / "predictions" / subset / "a.nii.gz"))
            assert (maps[-1] == predicted).all()
        assert any((maps[0] != other).any() for other in maps[1:])
