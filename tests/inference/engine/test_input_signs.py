"""What a network says of images, on a tiny network of random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_network import tiny_configuration

from nnunet_hetero.inference.engine.input_signs import InputTile
from nnunet_hetero.inference.engine.network_steps import encode_for_all, fuse_subset
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.reliability.input_evidence import VIEWS, mirrorings

TILE = (16, 16, 16)


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return HeteroModalVAE.from_plans(tiny_configuration(), 4, 3, False).eval()


def tile_of(network, images, present=(0, 1, 2, 3)):
    return InputTile.encoded_by(network, images, (4.0, 4.0, 4.0), present)


@pytest.fixture(scope="module")
def images():
    noise = torch.randn(4, *TILE, generator=torch.Generator().manual_seed(1))
    noise[:, :3] = 0
    return noise


def direct(network, images, source):
    """Completed images by the network's own forward."""
    available = torch.zeros(1, 4, dtype=torch.bool)
    available[0, list(source)] = True
    return network(images[None], available, full=True).completion[0]


def test_completed_images_are_those_of_the_network(network, images):
    sources = [(2, 3), (0,), (0, 1, 3)]
    found = tile_of(network, images).completed(sources)
    for source in sources:
        torch.testing.assert_close(found[source], direct(network, images, source), rtol=1e-3, atol=1e-4)


def test_only_images_of_others_explain_an_image(network, images):
    changed = images.clone()
    changed[0] *= -2
    one, two = (tile_of(network, given).explained((2, 3)) for given in (images, changed))
    assert set(one) == {0, 1}
    assert one[1] == two[1]  # whatever T1 is
    assert len(one[1]["completed"]) == 4
    assert len(one[1]["mirrored"]) == len(VIEWS[6]) == len(mirrorings(3))


def test_the_likeness_is_a_correlation_inside(network, images):
    found = tile_of(network, images).explained((2, 3))[0]
    inside = (images != 0).any(dim=0)
    completed = direct(network, images, (2, 3))
    expected = [np.arctanh(np.corrcoef(images[0][inside], completed[channel][inside])[0, 1]) for channel in range(4)]
    assert found["completed"] == pytest.approx(expected, abs=1e-3)
    mirrored = np.corrcoef(completed[0][inside], images[0].flip(0)[inside])[0, 1]
    assert found["mirrored"][0] == pytest.approx(np.arctanh(mirrored), abs=1e-3)
    assert found["moved"]["distance"] >= 6


def test_the_contrast_changes_its_sign_when_images_are_exchanged(network, images):
    skewed = images.clone()
    skewed[1] = images[0] + torch.where(images[2] > 1.5, 4.0, 0.0)
    tile = tile_of(network, skewed)
    assert tile.contrast(1, 0) == pytest.approx(-tile.contrast(0, 1), rel=1e-4)
    assert tile.contrast(1, 0) > 1
    assert tile.contrast(0, 0) == 0


def test_a_modality_has_a_posterior_of_its_own(network, images):
    changed = images.clone()
    changed[3] *= -1
    one, two = (tile_of(network, given) for given in (images, changed))
    assert one.posterior(2) == pytest.approx(two.posterior(2))
    assert one.posterior(3) != pytest.approx(two.posterior(3))
    level, *_ = fuse_subset(
        network,
        encode_for_all(network, images[None], torch.ones(4).bool()),
        torch.tensor([0, 0, 1, 0]).bool(),
        images[None],
    )
    assert one.posterior(2)[:2] == pytest.approx(
        [level.log_variance.mean().item(), level.mean.square().mean().item()], rel=1e-3
    )


def test_absent_modalities_are_not_explained(network, images):
    given = images.clone()
    given[1] = 0
    assert set(tile_of(network, given, (0, 2, 3)).explained((2, 3))) == {0}


def test_a_tile_without_any_value_gives_numbers(network):
    tile = tile_of(network, torch.zeros(4, *TILE))
    found = tile.explained((2, 3))[0]
    assert found["completed"] == [0.0] * 4 and found["mirrored"] == [0.0] * 6
    assert np.isfinite(list(found["moved"].values())).all()
    assert tile.contrast(0, 1) == 0 and np.isfinite(tile.posterior(0)).all()


def test_two_dimensions():
    torch.manual_seed(0)
    flat = HeteroModalVAE.from_plans(tiny_configuration(strides=[[1, 1], [2, 2], [2, 2]]), 4, 3, False).eval()
    images = torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(1))
    tile = InputTile.encoded_by(flat, images, (4.0, 4.0), (0, 1, 2, 3))
    found = tile.explained((2, 3))[1]
    assert len(found["completed"]) == 4 and len(found["mirrored"]) == len(VIEWS[3])
    assert len(tile.posterior(1)) == 6
