"""Blocks that are hidden: as many as asked for, whole ones, and all of what is not shown."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks

from nnunet_hetero.training.data.blocks import visible_blocks


class TestBlocks:
    def test_one_eighth_of_what_is_shown(self):
        torch.manual_seed(0)
        images = torch.zeros(2, 4, 64, 64, 64)
        seen = visible_blocks(images, masks((0, 1, 2, 3), (1, 2)), 0.875)
        assert seen.shape == images.shape and not seen[1, [0, 3]].any()
        assert seen[0].float().mean().item() == pytest.approx(0.125, abs=0.05)
        blocks = seen[0, 0].unfold(0, 16, 16).unfold(1, 16, 16).unfold(2, 16, 16).flatten(3)
        assert (blocks.all(dim=3) | ~blocks.any(dim=3)).all()  # whole blocks

    @pytest.mark.parametrize("spatial", [(8, 9, 10), (20, 3), (1, 1, 1)])
    def test_sizes_that_blocks_do_not_divide(self, spatial):
        assert visible_blocks(torch.zeros(1, 2, *spatial), masks((0, 1), modalities=2), 0.5).shape == (1, 2, *spatial)

    def test_a_share_for_each_image(self):
        hidden = torch.tensor([[0.0, 1.0]])
        seen = visible_blocks(torch.zeros(1, 2, 32, 32, 32), masks((0, 1), modalities=2), hidden)
        assert seen[0, 0].all() and not seen[0, 1].any()
