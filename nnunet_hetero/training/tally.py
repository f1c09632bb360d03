"""How often each modality and each subset was there in training, and how often it was drawn: counted and shown."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_hetero.inference.files import replace_json
from nnunet_hetero.modalities import Modalities, Subset, all_subsets

FIGURE_NAME = "modalities.png"
TABLE_NAME = "modalities.json"
SHOWN_SUBSETS = 31  # of five modalities all; of more, the most frequent ones
THERE, DRAWN, DARK = "#b9c6d2", "#0072B2", "#1f2933"


class Tally:
    """Counts of training samples, from the first step on, by what their case had and by what was drawn of it.

    It goes into the checkpoint, so that a resumed training goes on counting.

    Args:
        modalities: The dataset's modalities.
    """

    def __init__(self, modalities: Modalities):
        self.modalities = modalities
        self.there: Counter[Subset] = Counter()
        self.drawn: Counter[Subset] = Counter()

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.there.total()

    def add(self, present: np.ndarray, drawn: np.ndarray) -> None:
        """Count a batch.

        Args:
            present: What the case of each sample has, ``(B, M)`` bool.
            drawn: What each sample was seen through, ``(B, M)`` bool.
        """
        for counter, table in ((self.there, present), (self.drawn, drawn)):
            counter.update(tuple(np.flatnonzero(row).tolist()) for row in table)

    def merge(self, state: dict) -> None:
        """Add the counts of another tally's `state_dict`."""
        self.there.update(state["there"])
        self.drawn.update(state["drawn"])

    def load_state_dict(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.there, self.drawn = Counter(state["there"]), Counter(state["drawn"])

    def state_dict(self) -> dict:
        """Plain numbers, as they stand in the checkpoint."""
        return {"there": dict(self.there), "drawn": dict(self.drawn)}

    def of_modalities(self, counter: Counter[Subset]) -> list[int]:
        """Number of samples with each modality, in channel order."""
        return [
            sum(count for subset, count in counter.items() if channel in subset)
            for channel in range(len(self.modalities))
        ]

    def subsets(self) -> list[Subset]:
        """The subsets that were ever there or drawn, by size, then by channel."""
        return [subset for subset in all_subsets(len(self.modalities)) if self.there[subset] or self.drawn[subset]]

    def describe(self) -> list[str]:
        """Lines for the log."""
        modalities = zip(
            self.modalities.names, self.of_modalities(self.drawn), self.of_modalities(self.there), strict=True
        )
        frequent = self.drawn.most_common(SHOWN_SUBSETS)
        return [
            f"Modalities drawn, of the samples that had them, {self.samples} samples so far: "
            + ", ".join(f"{name} {drawn}/{there}" for name, drawn, there in modalities),
            "Subsets drawn: "
            + ", ".join(f"{self.modalities.label(subset)} {count}" for subset, count in frequent)
            + (", ..." if len(self.drawn) > len(frequent) else ""),
        ]

    def table(self, cases: Counter[Subset]) -> dict[str, Any]:
        """All counts by name.

        Args:
            cases: How many training cases have exactly each subset.
        """
        modalities = zip(
            self.modalities.names,
            *(self.of_modalities(counter) for counter in (cases, self.there, self.drawn)),
            strict=True,
        )
        subsets = [subset for subset in all_subsets(len(self.modalities)) if cases[subset] or subset in self.subsets()]
        return {
            "cases": cases.total(),
            "samples": self.samples,
            "modalities": {
                name: {"cases": in_cases, "there": there, "drawn": drawn} for name, in_cases, there, drawn in modalities
            },
            "subsets": {
                self.modalities.label(subset): {
                    "cases": cases[subset],
                    "there": self.there[subset],
                    "drawn": self.drawn[subset],
                }
                for subset in subsets
            },
        }

    def write(self, folder: str | os.PathLike, cases: Counter[Subset]) -> None:
        """Write ``modalities.json`` and ``modalities.png`` into nnU-Net's output folder.

        Args:
            folder: The fold's.
            cases: How many training cases have exactly each subset.
        """
        replace_json(Path(folder) / TABLE_NAME, self.table(cases))
        self.draw(Path(folder) / FIGURE_NAME, cases)

    def draw(self, path: Path, cases: Counter[Subset]) -> None:
        """Bars of how often each modality and each subset was there (light) and was drawn (dark)."""
        table = self.table(cases)
        by_name = {self.modalities.label(subset): subset for subset in all_subsets(len(self.modalities))}
        frequent = sorted(table["subsets"], key=lambda name: -sum(list(table["subsets"][name].values())[1:]))
        shown = [name for name in table["subsets"] if name in frequent[:SHOWN_SUBSETS]]
        number = len(self.modalities)
        rows = max(len(shown), number, 1)
        figure = Figure(figsize=(13, 0.34 * rows + 2.2), layout="constrained", facecolor="white")
        left, dots, right = figure.subplots(1, 3, width_ratios=[4, 0.32 * number, 6])
        self._bars(left, table["modalities"])
        left.set_yticks(range(number), self.modalities.names)
        left.set_title("Modalities", color=DARK, pad=22)
        left.set_ylim(max(number, rows / 2) - 0.4, -0.6)  # bars not much thicker than those of the subsets
        self._bars(right, {name: table["subsets"][name] for name in shown})
        right.set_yticks([])
        hidden = len(table["subsets"]) - len(shown)
        right.set_title("Subsets" + (f" ({hidden} rarer ones not shown)" if hidden else ""), color=DARK, pad=22)
        for row, name in enumerate(shown):
            for channel in range(number):
                there = channel in by_name[name]
                dots.plot(channel, row, "o", markersize=8, color=DARK if there else "none", markeredgecolor=DARK)
        dots.set(xlim=(-0.6, number - 0.4), ylim=right.get_ylim(), yticks=[])
        dots.set_xticks(range(number), self.modalities.names, rotation=90 if number > 4 else 0, fontsize="small")
        dots.tick_params(length=0, labeltop=True, labelbottom=False)
        for axes in (left, dots, right):
            for spine in axes.spines.values():
                spine.set_visible(False)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        figure.suptitle(f"{self.samples} training samples of {table['cases']} cases", color=DARK)
        figure.savefig(path, dpi=110)

    def _bars(self, axes: Axes, entries: dict[str, dict[str, int]]) -> None:
        """A light and a dark bar per entry, in % of all samples, with the counts behind them."""
        for row, entry in enumerate(entries.values()):
            there, drawn = (100 * entry[key] / max(1, self.samples) for key in ("there", "drawn"))
            axes.barh(row, there, height=0.78, color=THERE, label=None if row else "there: what the sample's case has")
            axes.barh(row, drawn, height=0.36, color=DRAWN, label=None if row else "drawn: what it was seen through")
            text = f"{entry['drawn']} drawn, {entry['there']} there, {entry['cases']} case{'s' * (entry['cases'] != 1)}"
            axes.text(max(there, drawn) + 1.5, row, text, va="center", fontsize="small", color=DARK)
        axes.set_ylim(max(len(entries), 1) - 0.4, -0.6)
        axes.set_xlim(0, 145)
        axes.set_xticks(range(0, 101, 25))
        axes.set_xlabel("% of all samples", color=DARK)
        axes.tick_params(length=0)
