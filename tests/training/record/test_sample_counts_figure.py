"""The picture of what was there and what was drawn."""

from __future__ import annotations

from collections import Counter

import matplotlib
import numpy as np
import pytest

from nnunet_hetero.modalities import Modalities
from nnunet_hetero.training.record.sample_counts import SampleCounts
from nnunet_hetero.training.record.sample_counts_figure import SHOWN_SUBSETS, modalities_figure

TABLE = {
    "cases": 3,
    "samples": 8,
    "modalities": {
        "T1": {"cases": 3, "there": 8, "drawn": 6},
        "FLAIR": {"cases": 1, "there": 4, "drawn": 2},
    },
    "subsets": {
        "T1": {"cases": 2, "there": 4, "drawn": 6},
        "FLAIR": {"cases": 0, "there": 0, "drawn": 2},
        "T1+FLAIR": {"cases": 1, "there": 4, "drawn": 0},
    },
}


def test_bars_are_as_long_as_the_shares_and_say_the_counts():
    modalities, _, subsets = modalities_figure(TABLE).axes
    assert [bar.get_width() for bar in modalities.patches] == [100, 75, 50, 25]  # there, drawn of each
    assert [label.get_text() for label in modalities.get_yticklabels()] == ["T1", "FLAIR"]
    assert [bar.get_width() for bar in subsets.patches] == [50, 75, 0, 25, 50, 0]
    assert [text.get_text() for text in subsets.texts] == [
        "6 drawn, 4 there, 2 cases",
        "2 drawn, 0 there, 0 cases",
        "0 drawn, 4 there, 1 case",
    ]


def test_dots_show_which_modalities_a_subset_has():
    figure = modalities_figure(TABLE)
    filled = {
        (int(dot.get_xdata()[0]), int(dot.get_ydata()[0]))
        for dot in figure.axes[1].lines
        if dot.get_markerfacecolor() != "none"
    }
    assert filled == {(0, 0), (1, 1), (0, 2), (1, 2)}


def test_of_many_subsets_the_rarest_are_left_out_and_counted():
    names = "abcdef"
    subsets = {}
    for number in range(1, 2 ** len(names)):
        subset = "+".join(name for place, name in enumerate(names) if number >> place & 1)
        subsets[subset] = {"cases": 1, "there": number, "drawn": 0}
    table = {"cases": 63, "samples": 2016, "modalities": {name: subsets[name] for name in names}, "subsets": subsets}
    right = modalities_figure(table).axes[2]
    assert right.get_title() == f"Subsets ({63 - SHOWN_SUBSETS} rarer ones not shown)"
    assert {text.get_text() for text in right.texts} == {f"0 drawn, {n} there, 1 case" for n in range(33, 64)}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [1, 2, 7])
def test_any_number_of_modalities(tmp_path, number, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 60)  # as after a plot of nnU-Net's
    monkeypatch.setitem(matplotlib.rcParams, "xtick.labelsize", 60)
    modalities = Modalities(tuple("abcdefg"[:number]))
    counts = SampleCounts(modalities)
    counts.write(tmp_path, Counter({(0,): 1}))  # before the first step
    present = np.ones((600, number), bool)
    drawn = np.random.default_rng(0).random((600, number)) < 0.5
    drawn[:, 0] |= ~drawn.any(axis=1)
    counts.add(present, drawn)
    assert (len(counts.subsets()) > SHOWN_SUBSETS) == (number == 7)
    counts.write(tmp_path, Counter({tuple(range(number)): 1}))
    assert len(list(tmp_path.iterdir())) == 2
