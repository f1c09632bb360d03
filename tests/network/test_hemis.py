"""HeMIS: its layers, in 2D."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import build, random_images
from torch import nn

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.hemis import HeMIS


class TestHeMIS:
    def test_layers(self):
        network = HeMIS(4, 3)
        shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert shapes == [(48, 1, 5, 5), (48, 48, 5, 5)] * 4 + [(16, 96, 5, 5), (3, 16, 21, 21)]

    def test_pooling_takes_the_largest_of_each_pixel_and_the_next(self):
        back_end, x = HeMIS(1, 2).encoders[0].backbone, random_images(1, 1, (6, 7))
        features, (pooled,) = back_end.convolutions(x), back_end(x)
        assert pooled.shape == features.shape
        assert torch.equal(pooled[..., 2, 3], features[..., 2:4, 3:5].amax((2, 3)))
        assert torch.equal(pooled[..., 5, 6], features[..., 5, 6])

    def test_only_in_2d(self):
        with pytest.raises(SettingsError, match=r"HeMIS is a 2D network, .* patches of 3 axes"):
            build(HeMIS, {}, (8, 8, 8))
