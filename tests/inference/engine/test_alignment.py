"""How alike images are, in place and moved."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from nnunet_hetero.inference.engine.alignment import likeness, likeness_elsewhere

SHAPE = (24, 26, 22)


def image(seed=0, shape=SHAPE):
    """Smooth noise in a box, zero around it."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    pool = functional.avg_pool3d if len(shape) == 3 else functional.avg_pool2d
    smooth = pool(noise[None, None], 3, 1, 1)[0, 0]
    box = torch.zeros(shape)
    box[tuple(slice(5, size - 5) for size in shape)] = 1
    return smooth * box


def test_likeness_is_fishers_z():
    one = image().flatten()
    other = image(1).flatten()
    expected = math.atanh(torch.corrcoef(torch.stack([one, other]))[0, 1].item())
    found = likeness(one, torch.stack([other, 3 * one + 2, -one, torch.ones_like(one)]))
    assert found[0].item() == pytest.approx(expected, abs=1e-4)
    assert found[1] > 3 and found[2] < -3 and found[3] == 0


@pytest.mark.parametrize("shift", [(3, 0, 0), (0, -3, 0), (0, 2, 2), (-2, 0, 3)])
def test_a_moved_image_fits_better_where_it_came_from(shift):
    one = image()
    moved = torch.roll(one, shift, (0, 1, 2))
    found = likeness_elsewhere(moved, one, torch.ones(SHAPE, dtype=torch.bool), (4.0, 4.0, 4.0))
    assert found["elsewhere"] > found["in_place"] + 1
    assert found["distance"] == pytest.approx(4 * math.hypot(*shift))


def test_an_image_in_its_place_fits_best_there():
    one = image()
    found = likeness_elsewhere(one, one + 0.1 * image(1), torch.ones(SHAPE, dtype=torch.bool), (4.0, 4.0, 4.0))
    assert found["in_place"] > found["elsewhere"] + 1


def test_a_shift_beyond_the_border_is_not_taken_for_one_on_the_other_side():
    one = torch.zeros(SHAPE)
    one[1:4, 5:20, 5:20] = image(2)[6:9, 5:20, 5:20]
    far = torch.roll(one, -6, 0)  # in at the other end
    found = likeness_elsewhere(far, one, torch.ones(SHAPE, dtype=torch.bool), (4.0, 4.0, 4.0))
    assert found["elsewhere"] < 1


def test_fine_grids_are_looked_at_in_larger_voxels():
    one = image(shape=(48, 52, 44))
    moved = torch.roll(one, (8, 0, 0), (0, 1, 2))
    found = likeness_elsewhere(moved, one, torch.ones(48, 52, 44, dtype=torch.bool), (1.0, 1.0, 1.0))
    assert found["elsewhere"] > found["in_place"] and found["distance"] == pytest.approx(9, abs=3.1)


def test_two_dimensions():
    one = image(shape=(40, 44))
    moved = torch.roll(one, (3, 0), (0, 1))
    found = likeness_elsewhere(moved, one, torch.ones(40, 44, dtype=torch.bool), (4.0, 4.0))
    assert found["distance"] == pytest.approx(12)
