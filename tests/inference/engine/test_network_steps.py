"""A network taken apart gives what it gives as a whole."""

from __future__ import annotations

import weakref

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_network

from nnunet_hetero.inference.engine.network_steps import encode_for_all, fuse_subset, fused_for_each, latents
from nnunet_hetero.network.fusion import Gaussian


@torch.no_grad()
@pytest.mark.parametrize("subset", [(0,), (1, 3), (0, 1, 3)])
def test_encoded_once_and_fused_for_a_subset_is_the_network_on_that_subset(subset):
    network, x = tiny_network(), random_images(2)
    encoded = encode_for_all(network, x, masks((0, 1, 3))[0])
    levels = fuse_subset(network, encoded, masks(subset)[0], x)
    for row in (0, 1):
        alone = x[row : row + 1] * masks(subset)[..., None, None, None]
        found = network.decode(latents(levels, row, None))
        torch.testing.assert_close(found, network(alone, masks(subset)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_each_of_several_subsets_as_alone():
    network, x = tiny_network(), random_images(2)
    subsets = list(masks((0, 1), (3,), (0, 1, 2, 3)))
    for subset, levels in zip(subsets, fused_for_each(network, x, subsets), strict=True):
        (alone,) = fused_for_each(network, x, [subset])
        for level, other in zip(levels, alone, strict=True):
            torch.testing.assert_close(level.mean, other.mean, atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(level.log_variance, other.log_variance, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_heads_are_applied_once_for_all_subsets():
    network, x, calls = tiny_network(), random_images(2), []
    for encoder in network.encoders:
        encoder.heads[0].register_forward_hook(lambda module, arguments, output: calls.append(module))
    assert len(list(fused_for_each(network, x, list(masks((0, 1), (1, 3), (0, 1, 3)))))) == 3
    assert len(calls) == len(set(calls)) == 3


@torch.no_grad()
def test_features_of_one_subset_are_let_go_one_modality_after_the_other(monkeypatch):
    network, x, alive = tiny_network(), random_images(1), []
    encode_each = network.encode_each

    def watched(images, available):
        for part in encode_each(images, available):
            alive.append(weakref.ref(part.features[0]))
            yield part
            del part
            assert sum(reference() is not None for reference in alive) <= 1

    monkeypatch.setattr(network, "encode_each", watched)
    assert len(list(fused_for_each(network, x, [masks((0, 1, 2, 3))[0]]))) == 1
    assert len(alive) == 4


@torch.no_grad()
def test_what_no_subset_needs_is_not_encoded():
    encoded = encode_for_all(tiny_network(), random_images(2), masks((0, 3))[0])
    assert [part.channel for part in encoded] == [0, 3]


class TestLatents:
    def test_of_tensors_are_their_rows(self):
        tensor = random_images(3)
        gaussian = Gaussian(tensor, torch.zeros_like(tensor))
        first, second = latents([tensor, gaussian], 2, torch.Generator())
        assert (first == tensor[2:]).all() and (second != tensor[2:]).any()

    def test_without_a_generator_are_the_mean(self):
        tensor = random_images(3)
        (found,) = latents([Gaussian(tensor, torch.zeros_like(tensor))], 1, None)
        assert (found == tensor[1:2]).all()
