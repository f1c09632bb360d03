"""nnU-Net's own network on channels of zeros, taken in the steps that all networks have."""

from __future__ import annotations

import torch
from helpers.tiny_network import build, masks, random_images, tiny_configuration

from nnunet_hetero.network.early_fusion import EarlyFusionUNet


def network(**settings) -> EarlyFusionUNet:
    return EarlyFusionUNet.from_plans(tiny_configuration(**settings), 4, 3, False).eval()


def test_each_sample_sees_its_own_modalities_and_zeros():
    found, x, shown = network(), random_images(3), masks((0, 3), (1,), ())
    (images,) = found.fuse(found.encode(x, shown), 3, x.shape[2:])
    assert (images == x * shown.view(3, 4, 1, 1, 1)).all()


def test_in_steps_as_nnunets_network_on_zeroed_channels():
    found, x, shown = network(), random_images(), masks((0, 3), (1,))
    with torch.no_grad():
        assert (found(x, shown) == found.unet(x * shown.view(2, 4, 1, 1, 1))).all()


def test_nothing_to_see_is_zeros():
    found = network()
    (images,) = found.fuse([], 2, (8, 8, 8))
    assert images.shape == (2, 4, 8, 8, 8) and not images.any()


def test_a_network_for_one_subset_has_its_channels_only():
    found, x = network(subset=[0, 3]), random_images()
    assert found.required == (0, 3)
    with torch.no_grad():
        assert (found(x, masks((0, 3), (0, 3))) == found.unet(x[:, [0, 3]])).all()


def test_weights_stand_under_the_unets_names_once():
    found = network()
    assert {name.split(".")[0] for name in found.state_dict()} == {"unet"}
    assert found.decoder is found.unet.decoder and not found.completes_images


class TestOneSubset:
    def test_only_its_channels_are_seen(self):
        network, x = build(EarlyFusionUNet, {}, (8, 8, 8), subset=[1, 3]), random_images()
        assert network.required == (1, 3)
        assert network.unet.encoder.stages[0][0].convs[0].conv.in_channels == 2
        changed = x.clone()
        changed[:, [0, 2]] = 7
        assert torch.equal(network(x), network(changed))
        assert torch.equal(network(x), network.unet(x[:, [1, 3]]))
