"""Layers that are nnU-Net's but for the way they are computed."""

from __future__ import annotations

import copy

import pytest
import torch
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from helpers.tiny_network import random_images
from torch import nn

from nnunet_hetero.network.parts import (
    FeatureEncoder,
    PointwiseConv2d,
    PointwiseConv3d,
    RowwiseNorm2d,
    RowwiseNorm3d,
    quicken,
)


def require_same(usual: nn.Module, quick: nn.Module, x: torch.Tensor) -> None:
    """Fail if answers or gradients differ by more than rounding."""
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(one) for layer, one in zip((usual, quick), inputs, strict=True)]
    for output in outputs:
        output.pow(3).sum().backward()
    torch.testing.assert_close(outputs[1], outputs[0])
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    for one, other in zip(quick.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


class TestRowwiseNorm:
    @pytest.mark.parametrize("affine", [True, False])
    @pytest.mark.parametrize(("norm", "shape"), [(nn.InstanceNorm2d, (5, 6)), (nn.InstanceNorm3d, (4, 5, 6))])
    def test_same_answer_and_gradients(self, norm, shape, affine):
        torch.manual_seed(0)
        usual = nn.Sequential(norm(3, eps=1e-3, affine=affine), nn.LeakyReLU(inplace=True)).double()
        for parameter in usual.parameters():
            nn.init.uniform_(parameter, 0.5, 1.5)
        quick = copy.deepcopy(usual)
        quicken(quick)
        assert isinstance(quick[0], (RowwiseNorm2d, RowwiseNorm3d))
        require_same(usual, quick, 3 * random_images(2, 3, shape).double() + 1)

    def test_not_one_that_follows_its_own_statistics(self):
        norm = nn.InstanceNorm3d(3, track_running_stats=True)
        quicken(norm)
        assert type(norm) is nn.InstanceNorm3d


class TestPointwise:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize(("convolution", "shape"), [(nn.Conv2d, (5, 6)), (nn.Conv3d, (4, 5, 6))])
    def test_same_answer_and_gradients(self, convolution, shape, bias):
        usual = convolution(3, 4, 1, bias=bias)
        quick = copy.deepcopy(usual)
        quicken(quick)
        assert isinstance(quick, (PointwiseConv2d, PointwiseConv3d))
        require_same(usual, quick, random_images(2, 3, shape))

    def test_only_kernels_of_one_voxel(self):
        network = nn.Sequential(
            nn.Conv3d(2, 2, 3, padding=1), nn.Conv3d(2, 2, 1, stride=2), nn.ConvTranspose3d(2, 2, 1)
        )
        before = [type(layer) for layer in network]
        quicken(network)
        assert [type(layer) for layer in network] == before

    def test_under_autocast(self):
        layer = nn.Conv3d(3, 4, 1)
        quicken(layer)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(random_images(2, 3)).dtype == torch.bfloat16


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
