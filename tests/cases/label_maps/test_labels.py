"""Values of label maps."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.cases.label_maps.labels import dataset_labels, known_labels, raw_labels, shown
from nnunet_hetero.errors import DataError

KNOWN = (0, 1, 2, 3)
RAW = {0: 0, 1: 1, 2: 2, 4: 3}


def test_labels_of_a_data_set():
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "ignore": 4}
    assert dataset_labels({"labels": labels}) == [0, 1, 2, 3, 4]
    assert raw_labels({"label_mapping": {"0": 0, "4": 3}}) == {0: 0, 4: 3}
    assert raw_labels({}) == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_known_values_stay(dtype, capsys):
    image = np.array([[0, 1], [3, 2]], dtype)
    assert known_labels(image, "Label", KNOWN) is image
    assert capsys.readouterr().out == ""


def test_all_but_whole_numbers_are_rounded_and_said(capsys):
    found = known_labels(np.array([0, 0.9999999, 2.0009], np.float32), "Label a", KNOWN)
    assert found.tolist() == [0, 1, 2]
    said = "Label a has the labels 0, 0.9999999, 2.0009, which are rounded to 0, 1, 2.\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 2, 4], r"^L has the labels 0, 1, 2, 4; expected only 0, 1, 2, 3\. .*raw data.*: 4 is 3\. Change"),
        ([0, 4], r"raw data.*: 4 is 3\."),
        ([0, 85, 170, 255], r"labels times 85: 85 is 1, 170 is 2, 255 is 3\. Divide"),
        ([0, 170, 255], r"labels times 85: 170 is 2, 255 is 3\."),
        ([0, 1 / 255, 2 / 255], r"labels times 0\.00392157: 0\.003921569 is 1"),
        ([0, 10, 11, 50], r"By their order they may mean: 10 is 1, 11 is 2, 50 is 3\."),
        ([0, 0.99], r"has the labels 0, 0\.99; "),
        ([0, 1.002, 2], r"has the labels 0, 1\.002, 2; "),
        ([-1, 0, 1], r"has the labels -1, 0, 1; "),
        ([0, 1, 3, 5], r"By their order they may mean: 3 is 2, 5 is 3"),
        ([0, 1, 2, 7, 9], r"has the labels 0, 1, 2, 7, 9; expected only 0, 1, 2, 3\. hint$"),
    ],
)
def test_other_values_are_refused_with_what_they_may_be(values, message):
    with pytest.raises(DataError, match=message):
        known_labels(np.array(values, float), "L", KNOWN, RAW, "hint" if len(values) == 5 else "")


def test_digits_tell_values_apart():
    assert shown(np.array([0.9999999, 1], np.float32)) == "0.9999999, 1"
    assert shown(np.array([1e-7, 16777217.0])) == "0.0000001, 16777217"
    assert shown([0, 255]) == "0, 255"
    assert shown(range(25)).endswith("18, 19 and 5 more")
