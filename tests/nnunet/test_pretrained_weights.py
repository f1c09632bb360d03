"""nnU-Net loads the weights of our networks through us, and those of others as before."""

from __future__ import annotations

import pytest
import torch
from nnunetv2.run import load_pretrained_weights as nnunet
from nnunetv2.run import run_training
from torch import nn

from nnunet_hetero.nnunet.pretrained_weights import load_through


class Ours(nn.Linear):
    """A kind of network."""


@pytest.fixture
def untouched(monkeypatch):
    """nnU-Net's function, whatever earlier tests made of it."""
    original = getattr(nnunet.load_pretrained_weights, "__wrapped__", nnunet.load_pretrained_weights)
    monkeypatch.setattr(nnunet, "load_pretrained_weights", original)
    monkeypatch.setattr(run_training, "load_pretrained_weights", original)


@pytest.mark.usefixtures("untouched")
def test_one_kind_is_ours(tmp_path):
    loaded = []
    load_through(Ours, lambda network, file: loaded.append((network, file)))
    load_through(Ours, lambda network, file: loaded.append("twice"))
    ours, compiled = Ours(2, 2), torch.compile(Ours(2, 2))
    for network in (ours, compiled):
        run_training.load_pretrained_weights(network, "file", verbose=True)
    assert loaded == [(ours, "file"), (compiled._orig_mod, "file")]

    other, before = nn.Linear(2, 2), nn.Linear(2, 2)
    torch.save({"network_weights": before.state_dict()}, tmp_path / "c.pth")
    nnunet.load_pretrained_weights(other, str(tmp_path / "c.pth"))
    assert torch.equal(other.weight, before.weight) and len(loaded) == 2
