"""Margins between what an image claims to be and something else, by hand."""

from __future__ import annotations

import pytest

from nnunet_hetero.reliability.input_evidence import (
    VIEWS,
    Statement,
    exchanges,
    margins,
    sources_of_pairs,
    sources_that_cover,
)

NAMES = ("T1", "T2", "FLAIR")


def explained(completed, mirrored=(0.0,) * 6, moved=(0.9, 0.4, 12.0)):
    far = dict(zip(("in_place", "elsewhere", "distance"), moved, strict=True))
    return {"completed": list(completed), "mirrored": list(mirrored), "moved": far}


def test_margins_of_one_image():
    found = margins({"T2": explained([0.2, 0.8, 0.5], [0.1, 0.9, 0, 0, 0, 0])}, NAMES)
    assert found[Statement("unlike", "T2")] == 0.8
    assert found[Statement("inverted", "T2")] == 1.6
    assert found[Statement("moved", "T2")] == pytest.approx(0.5)
    assert found[Statement("is", "T2", "T1")] == pytest.approx(0.6)
    assert found[Statement("is", "T2", "FLAIR")] == pytest.approx(0.3)
    assert found[Statement("mirrored", "T2", "1")] == pytest.approx(-0.1)
    assert len(found) == 3 + 2 + 6


def test_of_2d_images_there_are_three_views():
    assert VIEWS == {3: ["0", "1", "0+1"], 6: ["0", "1", "2", "0+1", "0+2", "1+2"]}
    assert len(margins({"T2": explained([0.2, 0.8, 0.5], [0.1] * 3)}, NAMES)) == 3 + 2 + 3


def test_numbers_of_an_exchange_change_their_sign_with_it():
    one, two = explained([0.9, 0.1, 0.3]), explained([0.2, 0.7, 0.4])
    right = {"explained": {"FLAIR": {"T1": one, "T2": two}}, "contrast": {"T1": {"T2": -2.0}}, "posterior": {}}
    wrong = {"explained": {"FLAIR": {"T1": two, "T2": one}}, "contrast": {"T1": {"T2": 2.0}}, "posterior": {}}
    statement = Statement("swapped", "T1", "T2")
    (first,) = exchanges(right, "FLAIR", NAMES).items()
    assert first == (statement, pytest.approx([0.9 + 0.7 - 0.1 - 0.2, -2.0]))
    assert exchanges(wrong, "FLAIR", NAMES)[statement] == pytest.approx([-number for number in first[1]])
    assert exchanges(right, "", NAMES) == {statement: [-2.0]}


def test_two_images_that_nothing_explains_together_are_left_out():
    signs = {"explained": {"T2": {"T1": explained([1, 0, 0])}}, "contrast": {"T1": {"T2": 1.0}}, "posterior": {}}
    assert exchanges(signs, "T2", NAMES) == {}


def test_statements_are_about_both_images_of_an_exchange():
    assert Statement("swapped", "T1", "T2").modalities == ("T1", "T2")
    assert Statement("is", "T1", "T2").modalities == ("T1",)


@pytest.mark.parametrize("present", [(0, 1), (0, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3, 4), (1, 2, 3, 4, 5, 6)])
def test_each_image_is_explained_by_others(present):
    for sources in (sources_that_cover(present, {}), sources_of_pairs(present)):
        explained = {channel for source in sources for channel in present if channel not in source}
        assert explained == set(present)
    assert set(sources_that_cover(present, {(0, 1): 2.0})) <= set(sources_of_pairs(present))
