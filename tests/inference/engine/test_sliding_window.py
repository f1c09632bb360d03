"""Tiles blended into whole maps, and how samples are put together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nnunet_hetero.inference.engine.latent_draws import LatentDraw
from nnunet_hetero.inference.engine.sliding_window import SlidingWindow, batches

TILES = [(slice(None), slice(start, start + 8), slice(0, 8), slice(0, 8)) for start in (0, 4)]
"""Two tiles of 8 voxels that share 4 along the first axis."""


class Voxelwise(torch.nn.Module):
    """A network whose maps are its input, so that blending must give back the case itself."""

    def encode(self, x, available):
        there = available.any(dim=0).nonzero().flatten().tolist()
        return [SimpleNamespace(channel=channel, image=x[:, channel]) for channel in there]

    encode_each = encode

    def fuse(self, encoded, batch_size, spatial):
        maps = torch.zeros(batch_size, 2, *spatial)
        for part in encoded:
            maps[:, part.channel] = part.image
        return [maps]

    def decode(self, levels):
        return levels[0]

    def complete(self, levels, subsets, wanted):
        return levels[0][:, wanted] + 10 * subsets.sum(1).view(-1, 1, 1, 1, 1)


@pytest.fixture
def window():
    """A window on that network; the second half of a tile weighs three times the first."""
    weights = torch.ones(8, 8, 8)
    weights[4:] = 3
    cpu = torch.device("cpu")
    views = [(), (0,), (0, 1, 2)]
    return SlidingWindow(Voxelwise(), torch.nn.Identity(), TILES, weights, views, cpu, cpu, lambda *_: None)


@pytest.fixture
def data():
    return torch.randn(2, 12, 8, 8, generator=torch.Generator().manual_seed(0))


class TestMaps:
    def test_weights_add_up_where_tiles_overlap(self, window):
        assert window.coverage((12, 8, 8))[:, 0, 0].tolist() == [1] * 4 + [4] * 4 + [3] * 4

    def test_tiles_and_mirrored_views_give_back_the_whole(self, window, data):
        draws = [LatentDraw(view, None) for view in (0, 1, 2)]
        run = window.run(data, torch.tensor([True, True]), draws, 2, (1,))
        (found,) = run.probabilities()
        torch.testing.assert_close(found, data)
        torch.testing.assert_close(run.completion, data[1:] + 20)

    def test_an_absent_modality_is_not_seen(self, window, data):
        run = window.run(data, torch.tensor([True, False]), [LatentDraw(0, None)], 2, (0,))
        (found,) = run.probabilities()
        torch.testing.assert_close(found[0], data[0])
        assert (found[1] == 0).all()
        torch.testing.assert_close(run.completion, data[:1] + 10)


class TestBatches:
    @pytest.mark.parametrize(
        ("number", "sizes"), [(0, []), (1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [2, 3]), (6, [2, 2, 2])]
    )
    def test_none_is_left_alone(self, number, sizes):
        found = list(batches(iter(range(number)), 2, join_single=True))
        assert [len(batch) for batch in found] == sizes
        assert [item for batch in found for item in batch] == list(range(number))

    @pytest.mark.parametrize(("number", "size", "sizes"), [(3, 2, [2, 1]), (3, 1, [1, 1, 1]), (9, 4, [4, 4, 1])])
    def test_a_gpu_never_takes_more_than_its_batch(self, number, size, sizes):
        assert [len(batch) for batch in batches(range(number), size, join_single=False)] == sizes
