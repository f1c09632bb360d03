"""How often each modality and each subset was there in training, and how often it was drawn."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from nnunet_hetero.io.atomic_files import replace_json, replacing
from nnunet_hetero.modalities import Modalities, Subset, all_subsets
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.record.sample_counts_figure import modalities_figure

FIGURE_NAME = "modalities.png"
TABLE_NAME = "modalities.json"
LOGGED_SUBSETS = 31


class SampleCounts:
    """Counts of training samples, from the first step on, by what their case had and by what was drawn of it.

    It goes into the checkpoint, so that a resumed training goes on counting. There and in ``modalities.json``, what was
    present stands under ``there``.

    Args:
        modalities: The dataset's modalities.
    """

    def __init__(self, modalities: Modalities):
        self.modalities = modalities
        self.present: Counter[Subset] = Counter()
        self.drawn: Counter[Subset] = Counter()

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.present.total()

    def add(self, present: np.ndarray, drawn: np.ndarray) -> None:
        """Count a batch.

        Args:
            present: What the case of each sample has, ``(B, M)`` bool.
            drawn: What each sample was seen through, ``(B, M)`` bool.
        """
        for counter, table in ((self.present, present), (self.drawn, drawn)):
            counter.update(tuple(np.flatnonzero(row).tolist()) for row in table)

    def merge(self, state: dict) -> None:
        """Add the counts of another one's `state_dict`."""
        self.present.update(state["there"])
        self.drawn.update(state["drawn"])

    def load_state_dict(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.present, self.drawn = Counter(state["there"]), Counter(state["drawn"])

    def state_dict(self) -> dict:
        """Plain numbers, as they stand in the checkpoint."""
        return {"there": dict(self.present), "drawn": dict(self.drawn)}

    def of_modalities(self, counter: Counter[Subset]) -> list[int]:
        """Number of samples with each modality, in channel order."""
        counts = [0] * len(self.modalities)
        for subset, count in counter.items():
            for channel in subset:
                counts[channel] += count
        return counts

    def subsets(self) -> list[Subset]:
        """The subsets that were ever present or drawn, by size, then by channel."""
        return [subset for subset in all_subsets(len(self.modalities)) if self.present[subset] or self.drawn[subset]]

    def describe(self) -> list[str]:
        """Lines for the log."""
        modalities = zip(
            self.modalities.names, self.of_modalities(self.drawn), self.of_modalities(self.present), strict=True
        )
        frequent = self.drawn.most_common(LOGGED_SUBSETS)
        return [
            f"Modalities drawn, of the samples that had them, {self.samples} samples so far: "
            + ", ".join(f"{name} {drawn}/{present}" for name, drawn, present in modalities),
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
            *(self.of_modalities(counter) for counter in (cases, self.present, self.drawn)),
            strict=True,
        )
        subsets = [subset for subset in all_subsets(len(self.modalities)) if cases[subset] or subset in self.subsets()]
        return {
            "cases": cases.total(),
            "samples": self.samples,
            "modalities": {
                name: {"cases": in_cases, "there": present, "drawn": drawn}
                for name, in_cases, present, drawn in modalities
            },
            "subsets": {
                self.modalities.label(subset): {
                    "cases": cases[subset],
                    "there": self.present[subset],
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
        table = self.table(cases)
        replace_json(Path(folder) / TABLE_NAME, table)
        self.draw(Path(folder) / FIGURE_NAME, table)

    def draw(self, path: Path, table: dict[str, Any]) -> None:
        """Draw what `table` gave."""
        # nnU-Net's own figure leaves seaborn's style and huge fonts behind.
        with plt.style.context("default"), replacing(path) as stream:
            modalities_figure(table).savefig(stream, format="png", dpi=110)


class RunningCounts:
    """Counts over all ranks and epochs, and those of the epoch that is running on this rank.

    Args:
        modalities: The dataset's modalities.
        ranks: All processes of the training.
    """

    def __init__(self, modalities: Modalities, ranks: Ranks):
        self.modalities = modalities
        self.ranks = ranks
        self.total = SampleCounts(modalities)
        self._of_epoch = SampleCounts(modalities)

    def add(self, present: np.ndarray, drawn: np.ndarray) -> None:
        """Count a batch of this rank, see `SampleCounts.add`."""
        self._of_epoch.add(present, drawn)

    def of_epoch(self) -> dict:
        """The counts of this rank in the epoch that is running, as they stand in a checkpoint."""
        return self._of_epoch.state_dict()

    def load_epoch(self, state: dict) -> None:
        """Go on in the middle of an epoch."""
        self._of_epoch.load_state_dict(state)

    def end_epoch(self) -> None:
        """Add the epoch's counts of all ranks to the total; every rank must call it."""
        for state in self.ranks.gather([self._of_epoch.state_dict()]):
            self.total.merge(state)
        self._of_epoch = SampleCounts(self.modalities)
