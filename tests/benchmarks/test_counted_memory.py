"""The estimate of a training step's memory against what is counted on fake tensors, under autocast and in float32."""

from __future__ import annotations

import pytest
import torch
from full_size import PLAIN, RESIDUAL, architecture, count_step, our_network

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
    assert training_bytes(networks[0], PATCH, 2, autocast=dtype is not None) == pytest.approx(counted, rel=0.15)
