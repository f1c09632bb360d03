"""DeMoSeg's objective, and the order of lenders from the modalities' names."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from helpers.trainers import initialised
from nnunetv2.utilities.helpers import dummy_context

from nnunet_hetero.network.published.decoupled import Decoupled
from nnunet_hetero.training.published.demoseg import DeMoSegTrainer


def test_the_objective():
    output = Decoupled(torch.tensor(2.0), torch.tensor(0.3))
    trainer = SimpleNamespace(
        network=lambda data, drawn, full: output, loss=lambda found, target: found * target, autocast=dummy_context
    )
    total, terms = DeMoSegTrainer.losses(trainer, None, torch.tensor(3.0), None, None)
    assert torch.isclose(total, torch.tensor(6.15)) and terms["loss"] == 6 and terms["stand_in"] == 0.3


def test_the_network_is_told_who_stands_in_for_whom(make_trainer):
    network = initialised(make_trainer(trainer=DeMoSegTrainer)).unwrapped_network
    assert network.lenders.tolist() == [[1, 2, 3], [0, 3, 2], [3, 0, 1], [2, 1, 0]]  # T1, T1c, T2, FLAIR
