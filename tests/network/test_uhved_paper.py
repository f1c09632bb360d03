"""The network of the paper: its size, levels and layers."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import build, random_images
from torch import nn

from nnunet_hetero.network.uhved_paper import PaperUHVED


class TestPaper:
    def test_number_of_parameters(self):
        """1.25 million for four modalities and four classes.

        An encoder: 8 + 27 (2·8² + 8·16 + 16² + 16·32 + 32² + 32·64 + 64²) = 221 192; a decoder without its last
        layer: 27 (48·32 + 32·16 + 24·16 + 16·8 + 12·8 + 8·4) = 72 576. Beside these convolutions there are the scales
        and shifts of the instance norms.
        """
        network = PaperUHVED(3, 4, 4)
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv3d)]
        last = 4 * 4 + 4 + 4 * (4 + 1)
        assert sum(m.weight.numel() for m in convolutions) + 8 == 4 * 221_192 + 5 * 72_576 + last
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(1.25e6, rel=0.001)

    def test_levels(self):
        network, x = PaperUHVED(3, 4, 4), random_images(1, 4, (16, 16, 24))
        posterior = network(x, full=True).posterior
        assert [level.mean.shape[1:] for level in posterior] == [
            (4, 16, 16, 24),
            (8, 8, 8, 12),
            (16, 4, 4, 6),
            (32, 2, 2, 3),
        ]

    def test_norm_before_nonlinearity_before_convolution(self):
        kinds = [type(layer).__name__ for layer in PaperUHVED(3, 1, 2).encoders[0].backbone.blocks[1]]
        assert kinds == ["InstanceNorm3d", "LeakyReLU", "Conv3d"] * 2

    def test_half_of_the_features_are_means_half_log_variances(self):
        encoder = PaperUHVED(3, 1, 2).encoders[0]
        features = encoder(random_images(2, 1, (16, 8, 8)))
        assert features[1].shape[1] == 16
        assert torch.equal(encoder.posterior(1, features[1]), features[1])

    def test_without_image_decoders(self):
        network = build(PaperUHVED, {}, (16, 8, 8), image_decoders=False)
        assert network(random_images(1, 4, (16, 8, 8)), full=True).completion is None
