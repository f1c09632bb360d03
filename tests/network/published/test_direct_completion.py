"""A U-Net whose further outputs are the images, in training and in the steps of prediction."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images
from torch import nn

from nnunet_hetero.network.published.direct_completion import DirectCompletionUNet

LABELS, MODALITIES = 3, 4


class UNet(nn.Module):
    """As far as nnU-Net's is used: two levels of outputs with deep supervision, else the finest."""

    def __init__(self, supervised: bool):
        super().__init__()
        self.decoder = nn.Module()
        self.decoder.seg_layers = nn.ModuleList(nn.Conv3d(MODALITIES, LABELS, 1) for _ in range(2))
        self.supervised = supervised

    def forward(self, x):
        finest = self.decoder.seg_layers[-1](x)
        return [finest, self.decoder.seg_layers[0](x[..., ::2, ::2, ::2])] if self.supervised else finest


@pytest.mark.parametrize("supervised", [True, False])
def test_segmentation_and_images_of_one_pass(supervised):
    network = DirectCompletionUNet(UNet(supervised), MODALITIES)
    images, available = random_images(), masks((0, 2), (1,))
    output = network(images, available, full=True)
    finest = output.segmentation[0] if supervised else output.segmentation
    assert finest.shape[1] == LABELS and output.completion.shape == images.shape
    assert output.posterior == [] and output.kl == 0
    # The steps of prediction give the same.
    levels, _ = network.fused(images, available)
    assert torch.equal(network.complete(levels, available), output.completion)
    assert torch.equal(network.complete(levels, available, (3, 0)), output.completion[:, [3, 0]])
    segmented = network.decode(levels)
    assert torch.equal(segmented[0] if supervised else segmented, finest)
    assert network.completes_images and not network.stochastic


def test_absent_modalities_have_no_influence():
    network = DirectCompletionUNet(UNet(False), MODALITIES)
    images, available = random_images(), masks((0, 2), (1,))
    others = torch.where(available.view(2, MODALITIES, 1, 1, 1), images, 7.0)
    one, two = (network(x, available, full=True) for x in (images, others))
    assert torch.equal(one.segmentation, two.segmentation) and torch.equal(one.completion, two.completion)
