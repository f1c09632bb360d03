"""ModDrop++'s objective: both passes' segmentation and features that are alike."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers.tiny_network import masks, random_images
from nnunetv2.utilities.helpers import dummy_context
from skimage.metrics import structural_similarity

from nnunet_hetero.network.published.filter_scaling import Seen
from nnunet_hetero.training.published.moddrop_plus import ModDropPlusTrainer, ssim


class TestSsim:
    def test_as_scikit_images(self):
        first, second = random_images(1, 1, (9, 10, 11)), random_images(1, 1, (9, 10, 11), seed=1)
        expected = structural_similarity(
            first[0, 0].double().numpy(), second[0, 0].double().numpy(), data_range=1, use_sample_covariance=False
        )
        assert ssim(first.double(), second.double()).item() == pytest.approx(expected, abs=1e-9)

    def test_of_itself_and_of_small_maps(self):
        assert ssim(random_images(1, 2, (3, 8, 8)), random_images(1, 2, (3, 8, 8))).item() == pytest.approx(1)
        assert ssim(random_images(1, 2, (8, 8)), random_images(1, 2, (8, 8))).item() == pytest.approx(1)


def test_the_objective():
    features = random_images(2, 3), random_images(2, 3, seed=1)
    outputs = [Seen(torch.tensor(2.0), features[0]), Seen(torch.tensor(5.0), features[1])]
    trainer = SimpleNamespace(
        network=lambda data, drawn: outputs, loss=lambda output, target: output * target, autocast=dummy_context
    )
    total, terms = ModDropPlusTrainer.losses(trainer, None, torch.tensor(3.0), None, None)
    assert (terms["loss"].item(), terms["loss_full"].item()) == (15, 6)
    assert total.item() == pytest.approx(21 + 2 * (1 - ssim(*features).item()), rel=1e-6)


def test_each_sample_is_seen_whole_and_through_a_subset(make_trainer):
    trainer = make_trainer(trainer=ModDropPlusTrainer)
    present = masks((0, 1), (1, 2, 3))
    full, shown = trainer.draw_subsets(present)
    assert torch.equal(full, present)
    assert shown.any(dim=1).all() and not (shown & ~present).any()
