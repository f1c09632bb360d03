"""Means over cases, subsets and regions."""

from __future__ import annotations

import math

import pytest
from helpers.results.two_modalities import MODALITIES, row, small_summary

from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.summary import ScoreMeans


def test_nan_is_left_out():
    summary = small_summary()
    assert [(entry.subset, entry.available) for entry in summary.subsets] == [
        ("T1", (True, False)),
        ("FLAIR", (False, True)),
        ("T1+FLAIR", (True, True)),
    ]
    t1, flair, both = summary.subsets
    assert t1.dice == pytest.approx({"whole": 0.2, "core": 0.3})
    assert flair.dice == pytest.approx({"whole": 0.6, "core": 0.6})
    assert both.mean == pytest.approx(0.85)
    assert [entry.n_modalities for entry in summary.sizes] == [1, 2]
    assert summary.sizes[0].dice == pytest.approx({"whole": 0.4, "core": 0.45})
    assert summary.overall.dice == pytest.approx({"whole": 1.6 / 3, "core": 0.6})
    assert (summary.cases, both.cases) == (2, 2)


def test_region_that_is_never_there():
    summary = summarise([row("a", "T1", "core", math.nan)], MODALITIES, ["core"])
    assert summary.subsets[0].dice == {"core": None}
    assert (summary.overall.dice, summary.overall.mean) == ({"core": None}, None)
    assert summary.empty_regions == ("core",)


def test_other_scores():
    rows = [
        row("a", "T1", "core", 0.5, hd95=4.0, volume_error_ml=-1.0),
        row("b", "T1", "core", 1.0, hd95=math.nan, volume_error_ml=2.0),
        row("a", "T1+FLAIR", "core", 1.0, hd95=8.0, volume_error_ml=0.0),
    ]
    summary = summarise(rows, MODALITIES, ["core"], ["dice", "hd95", "volume_error_ml"])
    first, both = summary.subsets
    assert first.scores["hd95"] == ScoreMeans({"core": 4.0}, 4.0)
    assert first.scores["volume_error_ml"].mean == 0.5
    assert both.scores["dice"].mean == both.mean == 1.0
    assert summary.overall.scores["hd95"].mean == 6.0
    assert [score.title for score in summary.scores.values()] == ["Dice", "HD95", "Volume error"]
