"""Layers that are nnU-Net's but for the way they are computed."""

from __future__ import annotations

import copy

import pytest
import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from helpers.tiny_network import random_images
from torch import nn

from nnunet_hetero.network import fast_cpu
from nnunet_hetero.network.fast_cpu import (
    PointwiseConv2d,
    PointwiseConv3d,
    RowwiseNorm2d,
    RowwiseNorm3d,
    TiledConvTranspose2d,
    TiledConvTranspose3d,
    quickened,
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
        quick = quickened(copy.deepcopy(usual))
        assert isinstance(quick[0], (RowwiseNorm2d, RowwiseNorm3d))
        require_same(usual, quick, 3 * random_images(2, 3, shape).double() + 1)

    @pytest.mark.parametrize(("norm", "shape"), [(nn.InstanceNorm2d, (5, 6)), (nn.InstanceNorm3d, (4, 5, 6))])
    def test_no_view_on_other_devices(self, norm, shape, monkeypatch):
        """Same answer and gradients, and an activation in place is an activation in the graph, not slices of copies."""
        monkeypatch.setattr(fast_cpu, "on_cpu", lambda x: False)
        usual = nn.Sequential(norm(3, affine=True), nn.LeakyReLU(inplace=True)).double()
        quick = quickened(copy.deepcopy(usual))
        x = random_images(2, 3, shape).double()
        require_same(usual, quick, x)
        names = [network(x.requires_grad_()).grad_fn.name() for network in (usual, quick)]
        assert names == ["AsStridedBackward0", "LeakyReluBackward1"]

    def test_not_one_that_follows_its_own_statistics(self):
        norm = nn.InstanceNorm3d(3, track_running_stats=True)
        assert quickened(norm) is norm


class TestPointwise:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize(("convolution", "shape"), [(nn.Conv2d, (5, 6)), (nn.Conv3d, (4, 5, 6))])
    def test_same_answer_and_gradients(self, convolution, shape, bias):
        usual = convolution(3, 4, 1, bias=bias)
        quick = quickened(copy.deepcopy(usual))
        assert isinstance(quick, (PointwiseConv2d, PointwiseConv3d))
        require_same(usual, quick, random_images(2, 3, shape))

    def test_only_kernels_of_one_voxel(self):
        network = nn.Sequential(
            nn.Conv3d(2, 2, 3, padding=1), nn.Conv3d(2, 2, 1, stride=2), nn.ConvTranspose3d(2, 2, 3)
        )
        before = [type(layer) for layer in network]
        assert [type(layer) for layer in quickened(network)] == before

    def test_under_autocast(self):
        layer = quickened(nn.Conv3d(3, 4, 1))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(random_images(2, 3)).dtype == torch.bfloat16


class TestTiled:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize(
        ("transposed", "kernel", "shape"),
        [
            (nn.ConvTranspose2d, (2, 3), (5, 6)),
            (nn.ConvTranspose3d, (1, 2, 3), (4, 5, 6)),
            (nn.ConvTranspose3d, 2, (1, 1, 1)),
        ],
    )
    def test_same_answer_and_gradients(self, transposed, kernel, shape, bias):
        usual = transposed(3, 4, kernel, kernel, bias=bias).double()
        quick = quickened(copy.deepcopy(usual))
        assert isinstance(quick, (TiledConvTranspose2d, TiledConvTranspose3d))
        require_same(usual, quick, random_images(2, 3, shape).double())

    def test_not_where_tiles_overlap_or_are_apart(self):
        network = nn.Sequential(
            nn.ConvTranspose3d(2, 2, 3, 2),
            nn.ConvTranspose3d(2, 2, 2, 3),
            nn.ConvTranspose3d(2, 2, 2, 2, padding=1),
            nn.ConvTranspose3d(2, 2, 2, 2, output_padding=1),
            nn.ConvTranspose3d(2, 2, 2, 2, groups=2),
            nn.ConvTranspose3d(2, 2, 2, 2, dilation=2),
        )
        assert {type(layer) for layer in quickened(network)} == {nn.ConvTranspose3d}

    def test_as_torch_does_it_on_other_devices(self, monkeypatch):
        monkeypatch.setattr(fast_cpu, "on_cpu", lambda x: False)
        usual = nn.ConvTranspose3d(3, 4, 2, 2)
        x = random_images(2, 3)
        assert torch.equal(quickened(copy.deepcopy(usual))(x), usual(x))

    def test_under_autocast(self):
        layer = quickened(nn.ConvTranspose3d(3, 4, 2, 2))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(random_images(2, 3)).dtype == torch.bfloat16


class TestInPlace:
    def test_under_every_name_with_the_same_parameters_in_the_same_order(self):
        """nnU-Net's blocks have a layer as an attribute and in a sequence."""
        block = ConvDropoutNormReLU(nn.Conv3d, 2, 3, 1, 1, True, nn.InstanceNorm3d, {"affine": True}, nonlin=nn.ReLU)
        before, state = list(block.parameters()), list(block.state_dict())
        quick = quickened(nn.Sequential(block))[0]
        assert quick is block and quick.conv is quick.all_modules[0] and quick.norm is quick.all_modules[1]
        assert type(quick.conv) is PointwiseConv3d and type(quick.norm) is RowwiseNorm3d
        assert all(one is other for one, other in zip(quick.parameters(), before, strict=True))
        assert list(quick.state_dict()) == state

    def test_nothing_is_drawn_for_weights_that_are_thrown_away(self):
        network = nn.Sequential(nn.Conv3d(2, 3, 1), nn.InstanceNorm3d(3, affine=True))
        torch.manual_seed(0)
        quickened(network)
        drawn = torch.rand(3)
        torch.manual_seed(0)
        assert (drawn == torch.rand(3)).all()
