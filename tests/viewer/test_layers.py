"""What a page holds of a case."""

from __future__ import annotations

import base64
import gzip

import nibabel
import numpy as np
import pytest
from helpers.looking.viewed import REGIONS, ball, head, label_map

from nnunet_hetero.errors import DataError
from nnunet_hetero.viewer.layers import EDGE, INSIDE, OUTSIDE, Background, CaseView, Overlay, embedded
from nnunet_hetero.viewer.picture import Picture

AFFINE = np.diag([1.5, 1.5, 2.0, 1.0])


def picture(data) -> Picture:
    return Picture(data, AFFINE)


def view(**changes) -> CaseView:
    regions = {name: tuple(labels) if len(labels) > 1 else labels[0] for name, labels in REGIONS.items()}
    entries = {"backgrounds": [Background("T1", "image", picture(head()))], **changes}
    return CaseView("a", regions, picture(label_map()), **entries)


def data_of(layer: dict) -> np.ndarray:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(layer["data"]))).get_fdata()


def places_of(layer: dict, region: int) -> np.ndarray:
    """Where each voxel is for a region, as the page reads it from a layer."""
    return np.array([int(letters[region]) for letters in layer["places"]])[data_of(layer).astype(int)]


def test_all_regions_are_one_layer_with_their_edges():
    (layer,) = (layer for layer in embedded(view()) if layer["kind"] == "prediction")
    for number, radius in enumerate((7, 5, 3)):
        data = places_of(layer, number)
        assert ((data != OUTSIDE) == ball(radius)).all()
        edge = np.argwhere(data == EDGE)
        assert len(edge) and (data == INSIDE).any()
        # An edge voxel has a neighbour outside, an inner one has none.
        steps = list(np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)]))
        assert all(any(data[tuple(voxel + step)] == 0 for step in steps) for voxel in edge)
        assert not any(data[tuple(voxel + step)] == 0 for voxel in np.argwhere(data == INSIDE) for step in steps)


def test_many_regions_that_cross_each_other():
    """More combinations than a byte has numbers."""
    data = np.random.default_rng(0).integers(1, 1025, size=(16, 16, 16))
    regions = {
        f"bit {bit}": tuple(int(label) for label in range(1, 1025) if (label - 1) >> bit & 1) for bit in range(10)
    }
    (layer,) = (
        layer
        for layer in embedded(CaseView("a", regions, picture(data), [Background("T1", "image", picture(data))]))
        if layer["kind"] == "prediction"
    )
    assert len(layer["places"]) > 256
    for bit in range(10):
        assert ((places_of(layer, bit) != OUTSIDE) == ((data - 1) >> bit & 1)).all()


def test_nothing_is_numbered_0_even_where_all_is_something():
    ones = picture(np.ones((4, 4, 4), int))
    everywhere = CaseView("a", {"all": 1}, ones, [Background("T1", "image", ones)])
    layer = embedded(everywhere)[-1]
    assert layer["places"][0] == "0" and (places_of(layer, 0) != OUTSIDE).all()


def test_truth_and_subsets_have_layers_of_their_own():
    layers = embedded(view(truth=picture(label_map()), subsets={"T1": picture(label_map() * 0)}))
    kinds = [layer["kind"] for layer in layers]
    assert kinds.count("truth") == 1 and kinds.count("subset") == 1
    assert len({layer["id"] for layer in layers}) == len(layers)
    assert (places_of(layers[kinds.index("subset")], 0) == OUTSIDE).all()


def test_a_difference_is_black_to_white_around_nothing():
    difference = Background("T1c", "difference", picture(head() - 400))
    layer = next(layer for layer in embedded(view(backgrounds=[difference])) if layer["kind"] == "difference")
    assert layer["low"] == -layer["high"] == -600


def test_maps_share_one_scale():
    overlays = [
        Overlay("whole tumor", "entropy", picture(ball(9) * 0.1)),
        Overlay("x", "probability", picture(ball(9) * 0.1)),
    ]
    entropy, probability = (
        layer for layer in embedded(view(overlays=overlays)) if layer["kind"] in ("entropy", "probability")
    )
    assert entropy["high"] == np.log(2) and probability["high"] == 1
    assert entropy["columns"] > 0 and entropy["data"] != probability["data"]


def test_the_crop_keeps_all_that_is_seen():
    whole = view(overlays=[Overlay("whole tumor", "entropy", picture(ball(9) * 0.1))])
    cropped = whole.cropped(whole.box())
    assert (cropped.prediction.data > 0).sum() == (whole.prediction.data > 0).sum()
    assert (cropped.backgrounds[0].picture.data > 0).sum() == (head() > 0).sum()
    assert cropped.overlays[0].picture.lies_on(cropped.prediction)


def test_full_keeps_every_digit():
    noisy = head() + np.random.default_rng(0).normal(size=head().shape).astype(np.float32)
    layer = embedded(view(backgrounds=[Background("T1", "image", picture(noisy))]), full=True)[0]
    assert (data_of(layer) == noisy).all()


def test_all_of_it_lies_on_one_grid():
    other = Picture(label_map(), np.diag([1.5, 1.5, 2.5, 1.0]))
    for more in ({"truth": other}, {"subsets": {"T1": other}}, {"overlays": [Overlay("a", "entropy", other)]}):
        with pytest.raises(DataError, match="lies on another grid than the segmentation"):
            view(**more)


def test_voxels_that_are_no_numbers_are_said_once():
    spoilt = Background("T1", "image", picture(np.where(head() > 900, np.nan, head())))
    said = view(backgrounds=[spoilt, spoilt], warnings=["something else"]).said()
    assert said == ["T1 has voxels that are no numbers; they are shown as background.", "something else"]
