"""A step: clipped, and left out where mixed precision overflowed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_hetero.training.optimization.step import GRADIENT_NORM, take_step


def weights_and_optimizer(lr: float = 1.0):
    network = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(network.weight)
    return network, torch.optim.SGD(network.parameters(), lr)


@pytest.mark.parametrize("scaled", [False, True])
def test_small_gradients_as_they_are_and_large_ones_at_the_norm(scaled):
    for factor, expected in ((1.0, [3.0, 4.0]), (1e4, [0.6 * GRADIENT_NORM, 0.8 * GRADIENT_NORM])):
        network, optimizer = weights_and_optimizer()
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0) if scaled else None
        take_step(network(factor * torch.tensor([3.0, 4.0])).sum(), network, optimizer, scaler)
        torch.testing.assert_close(-network.weight[0], torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_an_overflow_changes_nothing_but_the_scale():
    network, optimizer = weights_and_optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    take_step(network(torch.tensor([float("inf"), 1.0])).sum(), network, optimizer, scaler)
    assert not network.weight.any() and scaler.get_scale() == 4.0
