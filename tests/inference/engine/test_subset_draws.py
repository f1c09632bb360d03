"""Several subsets of one case with their draws apart: the same as each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.preprocessed import SHAPE, images

from nnunet_hetero.inference.engine import sliding_window
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.subset_draws import draw_subsets
from nnunet_hetero.inference.predictor import HeteroModalPredictor

SAMPLING = SamplingOptions(3, seed=5)
SUBSETS = [(0,), (1, 3), (0, 1, 2, 3)]


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def model(tiny_model):
    predictor = HeteroModalPredictor(use_mirroring=False, allow_tqdm=False, device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(tiny_model.folder), (0, 1))
    return predictor.model


@pytest.mark.parametrize("room", [None, 2, 0])
def test_same_as_alone(model, monkeypatch, room):
    """With room for all subsets at once, for two of them, and not even for one."""
    data = images(absent=(), seed=1)
    if room is not None:
        monkeypatch.setattr(sliding_window, "ACCUMULATOR_BYTES", max(1, room * 3 * 3 * 4 * int(np.prod(SHAPE))))
    shares = []
    found = list(draw_subsets(model, data, "a", SUBSETS, SAMPLING, 0.5, shares.append))
    assert [one.used for one in found] == SUBSETS
    assert sum(shares) == pytest.approx(1)
    monkeypatch.undo()
    for subset, one in zip(SUBSETS, found, strict=True):
        only = torch.zeros_like(data)
        only[list(subset)] = data[list(subset)]
        expected = predict_preprocessed(model, only, "a", SAMPLING, 0.5)
        np.testing.assert_allclose(one.logits, expected.logits, atol=1e-4)
        assert one.draws == expected.draws == 6
        assert len(one.of_folds) == 2
        pairs = zip((one.statement, *one.of_folds), (expected.statement, *expected.of_folds), strict=True)
        for mine, theirs in pairs:
            np.testing.assert_allclose(mine.sizes, theirs.sizes, atol=1.0)  # two voxels on the edge of 0.5
            np.testing.assert_allclose(mine.disagreement, theirs.disagreement, atol=1e-3)
            for sign in ("expected_dice", "softened_dice", "surface"):
                np.testing.assert_allclose(getattr(mine, sign), getattr(theirs, sign), atol=5e-3)
