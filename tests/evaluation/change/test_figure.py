"""Ratios as lines beside the thresholds."""

from __future__ import annotations

import math

from nnunet_hetero.evaluation.change.changes import Change
from nnunet_hetero.evaluation.change.decision import Interval, Thresholds
from nnunet_hetero.evaluation.change.figure import COLOURS, LIMITS, change_figure
from nnunet_hetero.evaluation.change.pairs import Pair
from nnunet_hetero.evaluation.change.scans import Volume


def change(ratio, decision, unit="ml"):
    volumes = Volume(10.0, Interval(8.0, 12.0)), Volume(20.0, Interval(17.0, 24.0))
    return Change(Pair("a", "b"), "whole tumor", ("T1", "T1"), unit, volumes, ratio, 0.9, decision)


def test_a_line_for_each_ratio():
    changes = [
        change(Interval(1.5, 3.0), "PD"),
        change(Interval(2.0, math.inf), "PD"),
        change(None, "undecided"),
    ]
    (axes,) = change_figure(changes, Thresholds()).axes
    lines = [line for line in axes.lines if line.get_linewidth() == 3]
    assert [list(line.get_xdata()) for line in lines] == [[1.5, 3.0], [2.0, LIMITS[1]]]
    assert {line.get_color() for line in lines} == {COLOURS["PD"]}
    assert sorted(line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--") == [0.35, 1.4]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a → b, whole tumor"] * 3


def test_areas_have_their_own_lines_and_name():
    (axes,) = change_figure([change(Interval(1.5, 3.0), "PD", "mm2")], Thresholds()).axes
    assert sorted(line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--") == [0.5, 1.25]
    assert axes.get_xlabel() == "Area after, divided by that before"
