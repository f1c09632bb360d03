"""nnU-Net's decoder on what modalities are fused to."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import random_images, tiny_configuration

from nnunet_hetero.network.latent_decoder import LatentDecoder
from nnunet_hetero.network.planned import decoder_plan, planned_architecture, planned_backbone

LATENTS, WIDTHS = (4, 6, 10), (8, 12, 16)


def decoder(**arguments) -> LatentDecoder:
    architecture = planned_architecture(tiny_configuration(), "This network")
    plan = decoder_plan(architecture, planned_backbone(architecture, (4, 8, 8)))
    arguments = {"n_conv_per_stage": [2, 1], "deep_supervision": False, **arguments}
    return LatentDecoder(plan, LATENTS, WIDTHS, 3, **arguments)


def latents() -> list[torch.Tensor]:
    return [random_images(2, channels, (8 // 2**level,) * 3) for level, channels in enumerate(LATENTS)]


@pytest.mark.parametrize("below", [None, LATENTS])
def test_latents_stand_where_a_unet_has_features(below):
    found = decoder(channels_from_below=below)
    channels = below or WIDTHS
    assert [stage.convs[0].input_channels for stage in found.stages] == [6 + channels[1], 4 + channels[0]]
    assert [len(stage.convs) for stage in found.stages] == [2, 1]
    assert found.transpconvs[0].in_channels == 10
    assert found(latents()).shape == (2, 3, 8, 8, 8)


def test_deep_supervision_finest_first():
    assert [level.shape[2] for level in decoder(deep_supervision=True)(latents())] == [8, 4]


@pytest.mark.parametrize("edge", [8, 16])
def test_a_sample_alone_is_the_first_of_two(edge):
    """Small convolutions compute two on a CPU."""
    whole, calls = decoder(deep_supervision=True), []
    for module in whole.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.register_forward_hook(lambda _, inputs, output: calls.append((len(inputs[0]), len(output))))
    both = [level.repeat(1, 1, *[edge // 8] * 3) for level in latents()]
    together = whole(both)
    calls.clear()
    alone = whole([level[:1] for level in both])
    assert {output for _, output in calls} == {1} and 2 in {given for given, _ in calls}
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other[:1], rtol=1e-4, atol=1e-5)


def test_coarse_levels_without_the_finest():
    whole = decoder(deep_supervision=True)
    found = whole.coarse(latents()[1:])
    assert len(found) == 1 and torch.equal(found[0], whole(latents())[1])


@pytest.mark.parametrize("below", [None, LATENTS])
def test_elements_are_those_of_the_outputs_of_convolutions(below):
    found, elements = decoder(channels_from_below=below), []
    for module in found.modules():
        if isinstance(module, (torch.nn.Conv3d, torch.nn.ConvTranspose3d)) and module not in found.seg_layers[:1]:
            module.register_forward_hook(lambda _, __, output: elements.append(output[0].numel()))
    found([level[:1] for level in latents()])
    assert found.compute_conv_feature_map_size((8, 8, 8)) == sum(elements)
