"""Encoders of one modality, and what is computed twice."""

from __future__ import annotations

import pytest
import torch
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from helpers.tiny_network import masks, random_images, tiny_network
from torch import nn

from nnunet_hetero.network.per_modality import FeatureEncoder, level_shapes, restricted


@pytest.mark.parametrize("edge", [16, 48])
def test_a_single_sample_is_encoded_as_one_of_a_batch(edge):
    """Also where torch would take another path for a small single sample."""
    torch.manual_seed(0)
    settings = {"n_stages": 3, "features_per_stage": [4, 8, 8], "kernel_sizes": 3, "strides": [1, 2, 2]}
    settings |= {"n_conv_per_stage": [1, 2, 2], "conv_op": nn.Conv3d, "norm_op": nn.InstanceNorm3d, "conv_bias": True}
    encoder = FeatureEncoder(PlainConvEncoder(1, nonlin=nn.LeakyReLU, return_skips=True, **settings))
    x = random_images(2, 1, (edge,) * 3)
    with torch.no_grad():
        together, alone = encoder(x), encoder(x[:1])
    assert [len(level) for level in alone] == [1, 1, 1]
    for one, both in zip(alone, together, strict=True):
        torch.testing.assert_close(one, both[:1], rtol=1e-4, atol=1e-5)


def test_shapes_round_up_as_strided_convolutions_do():
    assert level_shapes((7, 8, 5), [(1, 1, 1), (2, 2, 2), (1, 2, 2)]) == [(7, 8, 5), (4, 4, 3), (4, 2, 2)]


def test_what_is_encoded_once_serves_each_sample_with_its_own_subset():
    network, x = tiny_network(), random_images(3)
    shown = masks((0, 1), (1, 2), (3,))
    encoded = network.encode(x, torch.ones(3, 4, dtype=torch.bool))
    expected = network.encode(x, shown)
    found = restricted(encoded, shown)
    assert [part.channel for part in found] == [part.channel for part in expected] == [0, 1, 2, 3]
    for one, other in zip(found, expected, strict=True):
        assert one.samples.numbers == other.samples.numbers
        for level, its in zip(one.features, other.features, strict=True):
            torch.testing.assert_close(level, its)
