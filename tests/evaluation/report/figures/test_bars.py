"""Bars."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.evaluation.report.figures import gain_bars, method_bars


def test_gain_bars_are_the_means_of_the_dots():
    gains = {"T1": {"a": np.array([1.0, 3.0, np.nan])}, "CT": {"a": np.array([np.nan])}}
    (axes,) = gain_bars(gains).axes
    assert [patch.get_height() for patch in axes.patches] == [2, 0]
    assert [len(line.get_ydata()) for line in axes.lines[:2]] == [2, 0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["+ T1", "+ CT"]


def test_method_bars():
    values = {"a": np.array([[50.0, np.nan], [60, 70]]), "b": np.zeros((2, 2))}
    figure = method_bars(("T1", "CT"), [[True, False], [True, True]], ("ours", "theirs"), values, "Dice in %")
    _, first, second = figure.axes
    assert [patch.get_width() for patch in first.patches] == [50, 60, 0, 70]
    assert first.get_xlim() == second.get_xlim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "theirs"]
