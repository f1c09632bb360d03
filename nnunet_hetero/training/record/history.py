"""What training did, epoch by epoch: the loss terms and the pseudo Dice per number of modalities, kept and drawn."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from nnunet_hetero.io.atomic_files import replace_text, replacing

FIGURE_NAME = "progress_hetero.png"
TABLE_NAME = "progress_hetero.json"


class History:
    """Values per epoch, beside nnU-Net's own logger, which accepts no keys but its own.

    It goes into the checkpoint, so that a resumed training continues the curves. Appended to nnU-Net's list of loggers
    it also receives what nnU-Net logs.
    """

    def __init__(self) -> None:
        self.values: dict[str, dict[int, float]] = defaultdict(dict)

    def log(self, key: str, value: float, step: int) -> None:
        """Keep a value for an epoch; a value logged again replaces the first."""
        self.values[key][int(step)] = float(value)

    def update_config(self, config: dict) -> None:
        """Part of nnU-Net's logger protocol; the settings are in the plans."""

    def log_summary(self, key: str, value: float) -> None:
        """Part of nnU-Net's logger protocol; summaries are in validation/summary.json."""

    def state_dict(self) -> dict:
        """Plain numbers, as they stand in the checkpoint."""
        return {key: dict(series) for key, series in self.values.items()}

    def load_state_dict(self, state: dict) -> None:
        """Continue from a checkpoint."""
        self.values = defaultdict(dict, {key: dict(series) for key, series in state.items()})

    def write(self, folder: str | os.PathLike) -> None:
        """Write the values as JSON and the figure, into nnU-Net's output folder."""
        folder = Path(folder)
        # JSON knows no NaN; an epoch in which no subset of a size came up has none.
        plain = {key: _plain(series) for key, series in self.values.items()}
        replace_text(folder / TABLE_NAME, json.dumps(plain, indent=1))
        self.draw(folder / FIGURE_NAME)

    def draw(self, path: Path) -> None:
        """Draw the loss terms (training) and the pseudo Dice by the number of modalities (validation)."""
        # nnU-Net's own figure leaves seaborn's style and huge fonts behind.
        with plt.style.context("default"), plt.rc_context({"font.size": 11}):
            figure, (losses, dice) = plt.subplots(1, 2, figsize=(13, 4.8), layout="constrained")
            for key, label in (
                ("segmentation", "segmentation (Dice + CE)"),
                ("single", "segmentation from one modality"),
                ("reconstruction", "reconstruction (L2)"),
                ("kl", "KL"),
                ("total", "weighted sum"),
            ):
                self._plot(losses, f"loss/{key}", label, linewidth=2.5 if key == "total" else 1.5)
            losses.set(title="Training loss", xlabel="epoch", ylabel="loss (terms before weighting)")
            sizes = sorted(key for key in self.values if key.startswith("pseudo_dice/"))
            for number, key in enumerate(sizes):
                size = key.split("/")[1]
                colour = plt.get_cmap("viridis")(0.9 * number / max(1, len(sizes) - 1))
                self._plot(dice, key, "1 modality" if size == "1" else f"{size} modalities", color=colour)
            dice.set(title="Pseudo Dice on validation patches", xlabel="epoch", ylabel="Dice", ylim=(0, 1))
            for axes in (losses, dice):
                axes.grid(alpha=0.3)
                if axes.lines:
                    axes.legend(fontsize=9)
            with replacing(path) as stream:
                figure.savefig(stream, format="png", dpi=110)
            plt.close(figure)

    def _plot(self, axes: Any, key: str, label: str, **style: Any) -> None:
        series = self.values.get(key, {})
        if series:
            steps = sorted(series)
            axes.plot(steps, [series[step] for step in steps], label=label, marker=".", markersize=4, **style)


def _plain(series: Mapping[int, float]) -> dict[str, float | None]:
    """JSON has neither numbers as keys nor NaN."""
    return {str(step): value if math.isfinite(value) else None for step, value in series.items()}
