"""RFNet's objective: the segmentation, single modalities and rough maps weigh the same."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers.tiny_network import masks
from helpers.trainers import initialised
from nnunetv2.utilities.helpers import dummy_context

from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.published.region_aware import Alone, RegionAware
from nnunet_hetero.training.published.rfnet import RFNetTrainer


class Loss:
    """Sum of outputs times targets; of levels like nnU-Net's with deep supervision."""

    def __call__(self, output, target):
        return sum(map(self.loss, output, target))

    @staticmethod
    def loss(output, target):
        return (output * target).sum()


@pytest.mark.parametrize("supervised", [True, False])
def test_the_objective(supervised):
    seen = []
    alone = [Alone(Rows.of([0, 1]), torch.tensor([1.0, 1.0])), Alone(Rows.of([1]), torch.tensor([4.0]))]
    output = RegionAware([torch.ones(2)] * 2 if supervised else torch.ones(2), alone, [torch.full((2,), 5.0)] * 2)
    trainer = SimpleNamespace(
        network=lambda data, subsets: seen.append(subsets) or output,
        loss=Loss() if supervised else Loss.loss,
        autocast=dummy_context,
    )
    target = torch.tensor([1.0, 2.0])
    present, drawn = masks((0, 1), (1,)), masks((0,), (1,))
    total, terms = RFNetTrainer.losses(trainer, None, [target, target] if supervised else target, present, drawn)
    levels = 2 if supervised else 1
    assert terms["loss"] == 3 * levels and terms["maps"] == 15 * levels
    assert terms["alone"] == (3 + 8) / 2  # the second modality is in the second sample only
    assert total == terms["loss"] + terms["alone"] + terms["maps"]
    assert torch.equal(seen[0], torch.stack([present, drawn]))


def test_the_network_is_told_whether_regions_overlap(make_trainer):
    trainer = initialised(make_trainer(trainer=RFNetTrainer))
    assert bool(trainer.unwrapped_network.fusions[0].overlapping) == trainer.label_manager.has_regions
