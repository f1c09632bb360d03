"""What probabilities promise of a segmentation, against draws from them and counts of neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from nnunet_hetero.inference.engine.region_signs import SMALLEST, SOFT, expected_dice, surface_share


def blob(shape=(14, 16, 18)) -> torch.Tensor:
    """Probabilities that fall from 1 in the middle to 0, with some noise."""
    axes = torch.meshgrid(*(torch.linspace(-1, 1, size) for size in shape), indexing="ij")
    radius = torch.sqrt(sum(axis**2 for axis in axes))
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return torch.sigmoid(12 * (0.6 - radius) + noise)


def test_it_is_the_mean_dice_with_truths_drawn_from_the_probabilities():
    p = blob()
    mask = p > 0.5
    truths = torch.rand((200, *p.shape), generator=torch.Generator().manual_seed(1)) < p
    dice = 2 * (truths & mask).flatten(1).sum(1) / (truths.flatten(1).sum(1) + mask.sum())
    assert expected_dice(p, mask)[0] == pytest.approx(float(dice.mean()), abs=0.005)


def test_softened_probabilities_promise_less_and_far_away_voxels_do_not_count():
    p = blob()
    promised, softened = expected_dice(p, p > 0.5)
    assert softened < promised - 0.05
    far = torch.cat([p, torch.full((100, *p.shape[1:]), SMALLEST / 2)])
    assert expected_dice(far, far > 0.5) == pytest.approx([promised, softened], abs=1e-6)
    soft = torch.sigmoid(torch.logit(p) / SOFT).where(p > SMALLEST, 0)
    assert expected_dice(soft, p > 0.5, (1.0,))[0] == pytest.approx(softened, abs=1e-4)


def test_certainty_is_one_and_nothing_is_zero():
    mask = blob() > 0.5
    assert expected_dice(mask.float(), mask, (1.0,)) == [1.0]
    assert expected_dice(blob(), torch.zeros_like(mask)) == [0.0, 0.0]
    assert surface_share(torch.zeros_like(mask)) == 1.0


@pytest.mark.parametrize("shape", [(9, 8, 7), (9, 8)])
def test_the_surface_is_what_an_erosion_takes(shape):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.9
    inner = binary_erosion(mask.numpy())
    assert surface_share(mask) == pytest.approx(1 - inner.sum() / mask.sum().item())
    assert inner.sum() > 0


def test_a_single_slice_is_taken_as_a_picture():
    mask = torch.ones((1, 6, 6), dtype=torch.bool)
    assert surface_share(mask) == pytest.approx(1 - 16 / 36)
    assert surface_share(mask[0]) == surface_share(mask)
    assert np.isclose(surface_share(torch.ones((6, 6, 6), dtype=torch.bool)), 1 - 64 / 216)
