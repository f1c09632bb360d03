"""The picture of how often each modality and each subset was there in training, and how often it was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_hetero.modalities import Modalities

SHOWN_SUBSETS = 31  # of five modalities all; of more, the most frequent ones
THERE, DRAWN, DARK = "#b9c6d2", "#0072B2", "#1f2933"


def modalities_figure(table: Mapping[str, Any]) -> Figure:
    """Bars of how often each modality and each subset was there (light) and was drawn (dark).

    Args:
        table: From `nnunet_hetero.training.record.sample_counts.Tally.table`, the content of ``modalities.json``.
    """
    modalities, subsets, samples = Modalities(tuple(table["modalities"])), table["subsets"], table["samples"]
    number = len(modalities)
    frequent = sorted(subsets, key=lambda name: -(subsets[name]["there"] + subsets[name]["drawn"]))[:SHOWN_SUBSETS]
    shown = {name: entry for name, entry in subsets.items() if name in frequent}
    rows = max(len(shown), number)
    figure = Figure(figsize=(13, 0.34 * rows + 2.2), layout="constrained", facecolor="white")
    left, dots, right = figure.subplots(1, 3, width_ratios=[4, 0.32 * number, 6])
    _bars(left, table["modalities"], samples)
    left.set_yticks(range(number), modalities.names)
    left.set_title("Modalities", color=DARK, pad=22)
    left.set_ylim(max(number, rows / 2) - 0.4, -0.6)  # bars not much thicker than those of the subsets
    _bars(right, shown, samples)
    right.set_yticks([])
    hidden = len(subsets) - len(shown)
    right.set_title("Subsets" + (f" ({hidden} rarer ones not shown)" if hidden else ""), color=DARK, pad=22)
    for row, name in enumerate(shown):
        subset = modalities.parse([name])
        for channel in range(number):
            colour = DARK if channel in subset else "none"
            dots.plot(channel, row, "o", markersize=8, color=colour, markeredgecolor=DARK)
    dots.set(xlim=(-0.6, number - 0.4), ylim=right.get_ylim(), yticks=[])
    dots.set_xticks(range(number), modalities.names, rotation=90 if number > 4 else 0, fontsize="small")
    dots.tick_params(length=0, labeltop=True, labelbottom=False)
    for axes in (left, dots, right):
        for spine in axes.spines.values():
            spine.set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"{samples} training samples of {table['cases']} cases", color=DARK)
    return figure


def _bars(axes: Axes, entries: Mapping[str, Mapping[str, int]], samples: int) -> None:
    """A light and a dark bar per entry, in % of all samples, with the counts behind them."""
    for row, entry in enumerate(entries.values()):
        there, drawn = (100 * entry[key] / max(1, samples) for key in ("there", "drawn"))
        axes.barh(row, there, height=0.78, color=THERE, label=None if row else "there: what the sample's case has")
        axes.barh(row, drawn, height=0.36, color=DRAWN, label=None if row else "drawn: what it was seen through")
        text = f"{entry['drawn']} drawn, {entry['there']} there, {entry['cases']} case{'s' * (entry['cases'] != 1)}"
        axes.text(max(there, drawn) + 1.5, row, text, va="center", fontsize="small", color=DARK)
    axes.set_ylim(max(len(entries), 1) - 0.4, -0.6)
    axes.set_xlim(0, 145)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("% of all samples", color=DARK)
    axes.tick_params(length=0)
