"""The image decoder's output, whose weights depend on the available modalities."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_configuration, tiny_network

from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.image_decoder import SubsetOutput

ALL, NONE = (0, 1, 2, 3), ()


@pytest.fixture
def output() -> SubsetOutput:
    """With weights of every part."""
    torch.manual_seed(0)
    layer = SubsetOutput(6, 4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


@pytest.mark.parametrize("spatial", [(5, 4), (5, 4, 3)])
def test_sum_of_what_each_available_modality_adds(output, spatial):
    """Every sample by its own subset."""
    features, subsets = torch.randn(3, 6, *spatial), (ALL, (2,), NONE)
    found = output(features, masks(*subsets))
    for image, sample, subset in zip(found, features, subsets, strict=True):
        parts = [0, *(1 + modality for modality in subset)]
        weight, bias = output.weight[parts].sum(dim=0), output.bias[parts].sum(dim=0)
        by_hand = (weight @ sample.flatten(1) + bias[:, None]).view(4, *spatial)
        torch.testing.assert_close(image, by_hand)


def test_starts_the_same_for_all_subsets():
    layer, features = SubsetOutput(6, 4), torch.randn(1, 6, 3, 3, 3).expand(2, -1, -1, -1, -1)
    every, none = layer(features, masks(ALL, NONE))
    assert torch.equal(every, none) and every.std() > 0.1
    new = HeteroModalVAE.from_plans(tiny_configuration(), 4, 3, False).image_decoder.output.weight
    assert new[0].std() > 0.1 and not new[1:].any()


def test_only_available_modalities_learn(output):
    output(torch.randn(2, 6, 3, 3, 3), masks((0, 2), (2,))).square().sum().backward()
    learns = [bool(gradient.any()) for gradient in output.weight.grad]
    assert learns == [True, True, False, True, False]


def test_completion_of_a_network_follows_the_subset():
    """The same latents, said to be fused from others."""
    network = tiny_network()
    latents = [level.mean for level in network(random_images(1), full=True).posterior]
    features = []
    network.image_decoder.output.register_forward_hook(lambda layer, inputs, output: features.append(inputs[0]))
    every, one = (network.complete(latents, masks(subset)) for subset in (ALL, (1,)))
    torch.testing.assert_close(*features)
    assert (every - one).abs().mean() > 0.1
