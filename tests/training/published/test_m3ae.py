"""M3AE's two phases: images from a few blocks, then segmentation from two subsets alike."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers.tiny_network import masks, random_images
from nnunetv2.utilities.helpers import dummy_context

from nnunet_hetero.network.published.filter_scaling import Seen
from nnunet_hetero.training.optimization.losses import masked_l2
from nnunet_hetero.training.published.m3ae import M3AETrainer

SUBSTITUTE = torch.full((1, 4, 8, 8, 8), 2.0)


def trainer(pretraining: bool, network) -> SimpleNamespace:
    found = SimpleNamespace(
        pretraining=pretraining,
        network=network,
        unwrapped_network=SimpleNamespace(substitute=SUBSTITUTE),
        loss=lambda output, target: output * target,
        autocast=dummy_context,
    )
    found._reconstruct = lambda *arguments: M3AETrainer._reconstruct(found, *arguments)
    return found


def test_the_first_part_of_the_epochs_reconstructs():
    phases = [M3AETrainer.pretraining.fget(SimpleNamespace(current_epoch=n, num_epochs=10)) for n in range(10)]
    assert phases == [True] * 3 + [False] * 7
    assert not M3AETrainer.pretraining.fget(SimpleNamespace(current_epoch=0, num_epochs=1))


def test_the_objective_of_the_pretraining():
    data, present = random_images(), masks((0, 1, 2, 3), (0, 1))
    found = trainer(True, lambda images, visible: torch.zeros_like(images))
    total, terms = M3AETrainer.losses(found, data, None, present, torch.stack([present, present]))
    expected = masked_l2(torch.zeros_like(data), data, present)
    assert torch.equal(terms["reconstruction"], expected)
    assert total.item() == pytest.approx(expected.item() + 0.005 * 4, rel=1e-6)


def test_the_objective_after_it():
    features = torch.zeros(2, 3), torch.full((2, 3), 2.0)
    outputs = [Seen(torch.tensor(1.0), features[0]), Seen(torch.tensor(3.0), features[1])]
    found = trainer(False, lambda data, drawn: outputs)
    total, terms = M3AETrainer.losses(found, None, torch.tensor(2.0), None, None)
    assert terms["loss"] == 4 and terms["distillation"] == 4
    assert total.item() == pytest.approx(4.4)
