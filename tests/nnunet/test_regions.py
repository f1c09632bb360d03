"""What a model segments."""

from __future__ import annotations

import pytest
import torch
from helpers.regions import LABELS, random_probabilities, regions


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
