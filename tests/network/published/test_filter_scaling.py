"""ModDrop++'s network: the plain one at first, then with filters of each sample's own code."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import build, masks, random_images
from torch import nn

from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.published.filter_scaling import FilterScaledUNet, ScaledConvolution


def network(**configuration) -> FilterScaledUNet:
    found = build(FilterScaledUNet, configuration, (8, 8, 8))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        nn.init.normal_(found.first.factors.weight)
    return found


@pytest.mark.parametrize("residual", [False, True])
def test_it_starts_as_the_plain_network(residual):
    plain = build(EarlyFusionUNet, {"residual": residual}, (8, 8, 8))
    scaled = build(FilterScaledUNet, {"residual": residual}, (8, 8, 8))
    x, shown = random_images(), masks((0, 3), (1,))
    with torch.no_grad():
        assert torch.allclose(scaled(x, shown), plain(x, shown), atol=1e-5)


def test_filters_and_biases_are_scaled_by_the_code():
    layer = ScaledConvolution(nn.Conv3d(2, 3, 1))
    nn.init.normal_(layer.factors.weight)
    images, code = random_images(1, 2, (2, 2, 2)), torch.tensor([[0.0, 1.0]])
    factors = layer.factors(code)[0]
    weight = layer.convolution.weight * factors[:6].view(3, 2, 1, 1, 1)
    expected = nn.functional.conv3d(images, weight, layer.convolution.bias * factors[6:])
    assert torch.allclose(layer(images, code), expected, atol=1e-6)


def test_a_sample_depends_on_its_own_modalities_only():
    found, x, shown = network(), random_images(3), masks((0, 3), (1,), ())
    with torch.no_grad():
        together = found(x, shown)
        for number in range(3):
            alone = found(x[number : number + 1], shown[number : number + 1])
            assert torch.allclose(together[number : number + 1], alone, atol=1e-5)
        # What is switched off may hold anything.
        assert torch.equal(found(x + 7 * ~shown.view(3, 4, 1, 1, 1), shown), together)


def test_zeros_that_are_there_are_not_the_same_as_an_absent_image():
    found, x = network(), random_images(1)
    x[:, 1] = 0
    with torch.no_grad():
        assert not torch.allclose(found(x, masks((0, 1))), found(x, masks((0,))))


def test_several_subsets_at_once():
    found, x = network(), random_images()
    subsets = torch.stack([masks((0, 1, 2, 3), (0, 1)), masks((2,), (1,))])
    with torch.no_grad():
        seen = found(x, subsets)
        for one, subset in zip(seen, subsets, strict=True):
            assert torch.equal(one.segmentation, found(x, subset))
            assert one.features.shape == (2, 8, 8, 8, 8)
