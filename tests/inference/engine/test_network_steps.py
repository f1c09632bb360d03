"""A network taken apart gives what it gives as a whole."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_network

from nnunet_hetero.inference.engine.network_steps import encode_for_all, fuse_subset, latents
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
