"""What a model segments."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_model import tiny_dataset_json, tiny_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.nnunet.regions import RegionDecoder

LABELS = {"background": 0, "edema": 1, "core": 2}


def regions(labels=None) -> RegionDecoder:
    dataset_json = tiny_dataset_json()
    if labels:
        dataset_json["labels"] = labels
        del dataset_json["regions_class_order"]
    return RegionDecoder(PlansManager(tiny_plans()).get_label_manager(dataset_json))


def random_probabilities(draws: int, heads: int, seed: int = 0, softmax: bool = False) -> torch.Tensor:
    logits = 3 * torch.randn(draws, heads, 6, 7, 8, generator=torch.Generator().manual_seed(seed))
    return logits.softmax(1) if softmax else logits.sigmoid()


class TestRegions:
    def test_decision_is_that_of_nnunet(self):
        decoder = regions()
        one = random_probabilities(1, 3)[0]
        label_map = decoder.label_manager.convert_probabilities_to_segmentation(one)
        whole, core, enhancing = decoder.masks(one)
        assert (
            (whole == (label_map > 0)).all()
            and (core == (label_map > 1)).all()
            and (enhancing == (label_map == 3)).all()
        )

    @pytest.mark.parametrize("labels", [None, LABELS])
    def test_logits_give_the_probabilities_back(self, labels):
        decoder = regions(labels)
        one = random_probabilities(1, 3, softmax=labels is not None)[0]
        one[:, 0, 0, 0] = torch.tensor([1.0, 0.0, 0.0])
        logits = decoder.into_logits(one.clone())
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(decoder.label_manager.apply_inference_nonlin(logits), one, atol=1e-6, rtol=1e-5)
