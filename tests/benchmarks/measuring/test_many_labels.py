"""Maps of many labels: the most that a prediction holds at once is what the documentation says."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_model import write_tiny_model
from measuring.counting import Counter

from nnunet_hetero.inference.engine import sliding_window
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.subset_prediction import Target, predict_subsets
from nnunet_hetero.inference.predictor import HeteroModalPredictor

LABELS, EDGE = 40, 48
OUTPUTS, VOXELS, MODALITIES = LABELS + 1, EDGE**3, 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    labels = {f"label {number}": number for number in range(1, LABELS + 1)}
    written = write_tiny_model(tmp_path_factory.mktemp("many"), labels=labels)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in written.environment().items():
            patched.setenv(name, value)
        return HeteroModalPredictor.from_model_folder(
            written.folder, device="cpu", tile_step_size=1.0, use_mirroring=False
        ).model


def peak(model, call) -> int:
    """Bytes that tensors hold at once, beside those of a single tile."""
    counter = Counter(model.network.parameters())
    with counter:
        found = call()
    del found
    return counter.counts.peak_bytes


@pytest.mark.parametrize("uncertainty", [False, True])
def test_of_draws(model, monkeypatch, uncertainty):
    """The table of docs/how-to/plan-for-your-gpu.md."""
    monkeypatch.setattr(sliding_window, "ACCUMULATOR_BYTES", 1)
    data = torch.randn(MODALITIES, EDGE, EDGE, EDGE)
    sampling = SamplingOptions(2, save_uncertainty=uncertainty)
    found = peak(model, lambda: predict_preprocessed(model, data, "a", sampling, 1.0))
    bound = VOXELS * (8 * OUTPUTS + LABELS + (12 * LABELS if uncertainty else 0) + 8 * MODALITIES + 40)
    assert 0.5 * bound < found < 1.05 * bound


def test_of_a_sum_over_draws(model):
    """As in the validation after training and in evaluations."""
    data = torch.randn(MODALITIES, EDGE, EDGE, EDGE)
    targets = [Target((0, 1, 2, 3))]
    found = peak(model, lambda: list(predict_subsets(model, data, "a", targets, SamplingOptions(2))))
    bound = VOXELS * (4 * OUTPUTS + 8 * MODALITIES + 40)
    assert 0.5 * bound < found < 1.05 * bound
