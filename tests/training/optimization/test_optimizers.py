"""The optimisers by name."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import tiny_network
from torch import nn

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.training.optimization.muon import Muon
from nnunet_hetero.training.optimization.optimizers import OPTIMIZERS, kept_elements

KINDS = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW, "Muon": Muon}


@pytest.mark.parametrize("name", KINDS)
def test_takes_all_weights_rate_and_decay(name):
    network = tiny_network()
    optimizer = OPTIMIZERS.get(name)(network, 0.02, 0.3)
    assert type(optimizer) is KINDS[name]
    held = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(id(weight) for weight in network.parameters())
    assert {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups} == {(0.02, 0.3)}


@pytest.mark.parametrize("name", ["SGD", *KINDS])
def test_what_each_keeps_of_the_weights(name):
    network = tiny_network()
    if name == "SGD":  # as nnU-Net makes it
        optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.99, nesterov=True)
    else:
        optimizer = OPTIMIZERS.get(name)(network, 0.01, 0)
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    kept = [value for state in optimizer.state.values() for key, value in state.items() if key != "step"]
    assert kept_elements(network, name) == sum(moment.numel() for moment in kept)


def test_one_of_another_package_is_taken_for_one_like_adam():
    assert kept_elements(tiny_network(), "Lion") == kept_elements(tiny_network(), "Adam")


def decayed_by(name: str) -> float:
    """What a step without a gradient leaves of a bias of 1; Adam's decay is a gradient itself, which it normalises."""
    layer = nn.Linear(2, 2)
    nn.init.ones_(layer.bias)
    optimizer = OPTIMIZERS.get(name)(layer, 0.1, 0.5)
    for weight in layer.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    return layer.bias[0].item()


def test_decay_is_as_each_understands_it():
    assert decayed_by("Adam") == pytest.approx(1 - 0.1)
    assert decayed_by("AdamW") == pytest.approx(1 - 0.1 * 0.5)


@pytest.mark.parametrize("name", KINDS)
def test_stays_fused_whatever_a_checkpoint_says(name):
    network = tiny_network()
    optimizer = OPTIMIZERS.get(name)(network, 0.01, 0)
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["fused"] = None
    optimizer.load_state_dict(state)
    assert all(group["fused"] for group in optimizer.param_groups)
    assert state["param_groups"][0]["fused"] is None  # what was loaded is not changed


def test_an_unknown_one_is_refused_with_those_that_there_are():
    with pytest.raises(SettingsError, match="Adam, AdamW, Muon"):
        OPTIMIZERS.get("Lion")
