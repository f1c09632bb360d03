"""M3AE's network: a learned image wherever nothing is seen, images as further outputs."""

from __future__ import annotations

import torch
from helpers.tiny_network import build, masks, random_images
from torch import nn

from nnunet_hetero.network.published.masked import MaskedUNet


def network(deep_supervision: bool = False) -> MaskedUNet:
    found = build(MaskedUNet, {}, (8, 8, 8), deep_supervision=deep_supervision)
    nn.init.normal_(found.substitute)
    return found


def test_the_learned_image_stands_in_for_what_is_absent():
    found, x, shown = network(), random_images(), masks((0, 3), ())
    (images,) = found.fuse(found.encode(x, shown), 2, x.shape[2:])
    assert torch.equal(images[0, [0, 3]], x[0, [0, 3]])
    assert torch.equal(images[0, [1, 2]], found.substitute[0, [1, 2]])
    assert torch.equal(images[1], found.substitute[0])


def test_it_is_scaled_to_other_sizes():
    found = network()
    assert found.substitute_at((4, 8, 16)).shape == (1, 4, 4, 8, 16)
    assert found.substitute_at((8, 8, 8)) is found.substitute


def test_segmentation_and_images_are_outputs_of_their_own():
    found, x = network(), random_images()
    with torch.no_grad():
        assert found(x).shape == (2, 3, 8, 8, 8)
        assert found(x, visible=torch.ones_like(x, dtype=torch.bool)).shape == (2, 4, 8, 8, 8)
        hidden = found(x, visible=torch.zeros_like(x, dtype=torch.bool))
    assert torch.equal(hidden[0], hidden[1])  # nothing is seen of either


def test_with_deep_supervision():
    found, x = network(True), random_images()
    outputs = found(x)
    assert [output.shape[1] for output in outputs] == [3, 3]
    images = found(x, visible=torch.ones_like(x, dtype=torch.bool))
    images.sum().backward()
    assert all(parameter.grad is not None for parameter in found.decoder.parameters())


def test_several_subsets_at_once():
    found, x = network(), random_images()
    subsets = torch.stack([masks((0, 1), (0, 1)), masks((2,), (1,))])
    with torch.no_grad():
        for one, subset in zip(found(x, subsets), subsets, strict=True):
            assert torch.equal(one.segmentation, found(x, subset))
            assert one.features.shape == (2, 16, 2, 2, 2)
