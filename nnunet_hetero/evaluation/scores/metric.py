"""A metric: what ``--metrics`` can ask for, whole: its columns, their meaning, what it needs, how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric_settings import MetricSettings
from nnunet_hetero.evaluation.scores.score import Score

Convention = str | Callable[[MetricSettings], str]
"""What a number means: its unit and range, its source, what an empty region counts. It may depend on the settings."""

Compute = Callable[[RegionMasks, MetricSettings], float | Sequence[float]]
"""From the masks of a region to its number, or to one per column; NaN where there is no value."""


@dataclass(frozen=True)
class Column:
    """One number of a metric.

    Args:
        name: Of the column in ``metrics.csv``.
        score: How it is shown.
        convention: What it means.
    """

    name: str
    score: Score
    convention: Convention


@dataclass(frozen=True)
class Metric:
    """What can be asked for by name.

    Args:
        name: As on the command line, in lower case.
        columns: Its numbers, in the order of what ``compute`` returns.
        compute: How its numbers come about.
        needs_volume: Whether it means nothing on a 2D image; its numbers are NaN there, and it is not computed.
        needs_spacing: The same for an image whose voxels have an unknown size, such as a PNG.
        by_default: Whether it is measured if the user names no metrics.

    Raises:
        SettingsError: If a part is not there or cannot be a column.

    Examples:
        >>> from nnunet_hetero.evaluation.scores.score import Score
        >>> column = Column("voxels", Score("Predicted voxels", ""), "How many there are.")
        >>> metric = Metric("voxels", (column,), lambda masks, settings: masks.predicted)
        >>> masks = RegionMasks(np.ones((2, 3, 4), bool), np.zeros((2, 3, 4), bool), (1.0, 1.0, 1.0))
        >>> metric.measure(masks, MetricSettings())
        {'voxels': 24.0}
    """

    name: str
    columns: tuple[Column, ...]
    compute: Compute
    needs_volume: bool = False
    needs_spacing: bool = False
    by_default: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower() or self.name == "all":
            raise SettingsError(f"A metric cannot be called '{self.name}': use lower-case letters, digits and _.")
        if not self.columns:
            raise SettingsError(f"Metric '{self.name}' has no columns. It needs one for each of its numbers.")
        for column in self.columns:
            if not column.name.isidentifier():
                raise SettingsError(
                    f"Metric '{self.name}': '{column.name}' is no name for a column; use letters, digits and _."
                )
            if not column.convention:
                raise SettingsError(
                    f"Metric '{self.name}': the column '{column.name}' has no convention. Say what its number means, "
                    "and what an empty region counts."
                )
        if not callable(self.compute):
            raise SettingsError(f"Metric '{self.name}': compute is {self.compute!r}, which cannot be called.")

    def conventions(self, settings: MetricSettings) -> dict[str, str]:
        """What its numbers mean, by column."""
        found = {}
        for column in self.columns:
            text = column.convention
            found[column.name] = text if isinstance(text, str) else text(settings)
        return found

    def measure(self, masks: RegionMasks, settings: MetricSettings) -> dict[str, float]:
        """The numbers of one region by column.

        Raises:
            SettingsError: If ``compute`` does not return a number per column.
        """
        names = [column.name for column in self.columns]
        if (self.needs_volume and not masks.is_volume) or (self.needs_spacing and not masks.has_spacing):
            return dict.fromkeys(names, math.nan)
        values = self.compute(masks, settings)
        numbers = values if isinstance(values, Sequence) else (values,)
        if len(numbers) != len(names):
            raise SettingsError(
                f"Metric '{self.name}' returned {values!r} for the {len(names)} column(s) {', '.join(names)}. It must "
                "return as many numbers."
            )
        return {name: float(number) for name, number in zip(names, numbers, strict=True)}

    def try_out(self, settings: MetricSettings) -> None:
        """Measure small masks, empty ones among them, so that a fault shows before a sweep and not after hours.

        Raises:
            SettingsError: If the metric fails, or its numbers do not fit its columns.
        """
        full, nothing = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
        full[1:3, 1:4, 1:5] = True
        for prediction, truth in ((full, full), (full, nothing), (nothing, full), (nothing, nothing)):
            try:
                self.measure(RegionMasks(prediction, truth, (1.0, 1.0, 1.0)), settings)
                self.conventions(settings)
            except SettingsError:
                raise
            except Exception as error:
                raise SettingsError(
                    f"Metric '{self.name}' fails on a prediction of {prediction.sum()} and a truth of {truth.sum()} "
                    f"voxels: {type(error).__name__}: {error}. Mend it, or leave it out of --metrics."
                ) from error
