"""Loaders of nnU-Net's trainer that sample as their dataset asks for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

from nnunet_hetero.nnunet.case_sampling import probabilities_of_datasets


@pytest.fixture
def made(monkeypatch):
    """Arguments of the loaders that are made, by the name that nnU-Net's trainer uses."""
    calls = []
    monkeypatch.setattr(nnunet, "nnUNetDataLoader", lambda *given, **named: calls.append((given, named)))
    return calls


def test_probabilities_reach_the_loader_and_the_rest_stays(made):
    dataset = SimpleNamespace(sampling_probabilities=[0.25, 0.75])
    with probabilities_of_datasets():
        nnunet.nnUNetDataLoader(dataset, 2, pad_sides=None, sampling_probabilities=None)
    assert made == [((dataset, 2), {"pad_sides": None, "sampling_probabilities": [0.25, 0.75]})]


def test_a_dataset_that_asks_for_nothing_is_sampled_uniformly(made):
    with probabilities_of_datasets():
        nnunet.nnUNetDataLoader(SimpleNamespace())
    assert made[0][1] == {"sampling_probabilities": None}


def test_nnunet_is_left_as_it_was_even_after_an_error():
    before = nnunet.nnUNetDataLoader
    with pytest.raises(RuntimeError, match="no data"), probabilities_of_datasets():
        assert nnunet.nnUNetDataLoader is not before
        raise RuntimeError("no data")
    assert nnunet.nnUNetDataLoader is before
