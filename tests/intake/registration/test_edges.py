"""Images of one head have their edges in common, those of two have not."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.dataset_conversion.phantom import make_phantom
from nnunet_hetero.intake.registration.edges import Edges, edges_in_common
from nnunet_hetero.intake.registration.plausible import LEAST_EDGES, another_head

NAMES = ("t1", "t1ce", "t2", "flair")
SIZE, EDGE = 80, 2.4


def image(array, spacing=(EDGE,) * 3):
    made = sitk.GetImageFromArray(np.ascontiguousarray(array.T).astype(np.float32))
    made.SetSpacing(spacing)
    return made


@pytest.fixture(scope="module")
def heads():
    """Two patients."""
    return [make_phantom(index, SIZE, seed=3) for index in (1, 2)]


@pytest.fixture(scope="module")
def edges(heads):
    return [{name: Edges.of(image(head[name])) for name in NAMES} for head in heads]


@pytest.mark.parametrize("name", NAMES[1:])
def test_one_head(edges, name):
    assert edges_in_common(edges[0]["t1"], edges[0][name]) > LEAST_EDGES
    assert not another_head(edges_in_common(edges[0]["t1"], edges[0][name]))


@pytest.mark.parametrize("name", NAMES[1:])
def test_another_head(edges, name):
    assert "is it of the same patient" in another_head(edges_in_common(edges[0]["t1"], edges[1][name]))


def test_a_ball(heads, edges):
    """A phantom of the outline of the head, with noise."""
    ball = np.where(heads[0]["t1"] != 0, np.random.default_rng(1).normal(100, 5, (SIZE,) * 3), 0)
    assert edges_in_common(edges[0]["t1"], Edges.of(image(ball))) < LEAST_EDGES


def test_noise_around_a_head_counts_for_nothing(heads):
    noise = np.random.default_rng(2)
    noisy = [
        Edges.of(
            image(np.hypot(heads[which][name] + noise.normal(0, 20, (SIZE,) * 3), noise.normal(0, 20, (SIZE,) * 3)))
        )
        for which, name in ((0, "t1"), (0, "t2"), (1, "t2"))
    ]
    assert edges_in_common(noisy[0], noisy[1]) > LEAST_EDGES > edges_in_common(noisy[0], noisy[2])


def test_thick_slices(heads):
    """Of 4.8 mm, in all images of the case."""
    thick = [
        Edges.of(image(heads[which][name].reshape(SIZE, SIZE, -1, 2).mean(axis=-1), (EDGE, EDGE, 2 * EDGE)))
        for which, name in ((0, "t1"), (0, "flair"), (1, "flair"))
    ]
    assert edges_in_common(thick[0], thick[1]) > LEAST_EDGES > edges_in_common(thick[0], thick[2])


def test_too_little_to_say(heads):
    assert Edges.of(image(heads[0]["t1"], (6.0,) * 3)) is None
    few = Edges.of(image(heads[0]["t1"][30:36, 30:36, 30:36]))
    assert edges_in_common(few, few) is None and not another_head(None)


def test_blocks_of_fine_voxels_are_averaged(heads):
    fine = np.repeat(np.repeat(np.repeat(heads[0]["t1"], 2, 0), 2, 1), 2, 2)
    coarse = Edges.of(image(heads[0]["t1"], (2.0,) * 3))
    found = Edges.of(image(fine, (1.0,) * 3))
    assert np.array_equal(found.inside, coarse.inside)
    assert np.allclose(found.directions, coarse.directions, atol=1e-4) and found.spacing.tolist() == [2.0] * 3
