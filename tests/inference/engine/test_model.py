"""A model that is ready to predict: what it takes from the predictor, and that nothing of it changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor


@pytest.fixture
def predictor(nnunet_folders) -> HeteroModalPredictor:
    options = PredictionOptions(missing=("t2",), sampling=SamplingOptions(3, seed=5, save_completed="all"))
    return HeteroModalPredictor.from_model_folder(nnunet_folders.folder, device="cpu", options=options)


def test_it_is_the_predictors(predictor):
    model = predictor.model
    assert model.network is predictor.network and len(model.parameters) == 2
    assert model.modalities.names == ("T1", "T1c", "T2", "FLAIR") and model.kept == (0, 1, 3)
    assert model.sampling == SamplingOptions(3, seed=5, save_completed="all")
    assert model.patch_size == (16, 16, 16) and model.device == torch.device("cpu")
    assert list(model.regions) == ["whole tumor", "tumor core", "enhancing tumor"]
    assert model.tiles.mirroring_axes == (0, 1, 2) and model.tiles.step == 0.5 and model.tiles.gaussian


def test_settings_of_the_predictor_as_they_are_at_the_time(predictor):
    before = predictor.model
    predictor.use_mirroring, predictor.tile_step_size, predictor.allow_tqdm = False, 1.0, True
    after = predictor.model
    assert (before.tiles.mirroring_axes, before.tiles.step, before.progress) == ((0, 1, 2), 0.5, False)
    assert (after.tiles.mirroring_axes, after.tiles.step, after.progress) == (None, 1.0, True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.kept = ()


def test_label_map_on_the_cases_own_grid(predictor):
    model = predictor.model
    grid = {"shape_after_cropping_and_before_resampling": (4, 4, 4), "shape_before_cropping": (6, 5, 4)}
    properties = {"spacing": [1.0] * 3, "bbox_used_for_cropping": [[1, 5], [0, 4], [0, 4]], **grid}
    logits = np.full((3, 4, 4, 4), -9.0, np.float32)
    logits[0, :2] = 9.0
    label_map = model.to_segmentation(logits, properties)
    assert label_map.shape == (6, 5, 4) and label_map[1:3, :4].all() and label_map.sum() == 2 * 4 * 4
