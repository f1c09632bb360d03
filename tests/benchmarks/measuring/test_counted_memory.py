"""The estimate of a training step's memory against what is counted on fake tensors, under autocast and in float32."""

from __future__ import annotations

import pytest
import torch
from measuring.full_size import (
    OUR_OPTIMIZER,
    PLAIN,
    RESIDUAL,
    architecture,
    count_prediction,
    count_step,
    nnunets_network,
    our_network,
)

from nnunet_hetero.training.memory import training_bytes

PATCH, FEATURES = (96, 96, 96), (32, 64, 128, 256)


@pytest.mark.parametrize("kind", [PLAIN, RESIDUAL])
@pytest.mark.parametrize(("modalities", "dtype"), [(1, torch.float16), (8, torch.bfloat16), (4, None)])
def test_within_fifteen_percent(kind, modalities, dtype):
    """Every sample with all modalities: the step that decides whether a training survives."""
    networks = []

    def build():
        networks.append(our_network(modalities, architecture(kind, FEATURES, PATCH)))
        return networks[0]

    counted = count_step(build, modalities, PATCH, 2, dtype).peak_bytes
    estimate = training_bytes(networks[0], PATCH, 2, OUR_OPTIMIZER, autocast=dtype is not None)
    assert estimate == pytest.approx(counted, rel=0.15)


@pytest.mark.parametrize("modalities", [1, 4, 8])
def test_a_tile_of_a_prediction_takes_little_more_than_nnunets(modalities):
    """Encoders run one after the other, and what each made is let go as soon as it is fused."""
    plan = architecture(PLAIN, FEATURES, PATCH)
    theirs = count_prediction(lambda: nnunets_network(PLAIN, modalities, plan), modalities, PATCH).peak_bytes
    ours = count_prediction(lambda: our_network(modalities, plan), modalities, PATCH).peak_bytes
    assert ours <= 1.5 * theirs
