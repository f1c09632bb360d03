"""What an evaluation measures, chosen among all metrics, and by which conventions.

Nothing heavy is imported here: the command reads it before it has anything to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.built_in import BUILT_IN
from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric import Metric
from nnunet_hetero.evaluation.scores.metric_settings import MetricSettings
from nnunet_hetero.evaluation.scores.registry import all_metrics
from nnunet_hetero.evaluation.scores.score import Score

DICE = "dice"
"""Measured always, and what tables and pages show first."""


def default_names() -> tuple[str, ...]:
    """The metrics that are measured if the user names none."""
    return tuple(name for name, metric in all_metrics().items() if metric.by_default)


@dataclass(frozen=True)
class MetricOptions:
    """What is measured, and how.

    Args:
        names: Of the metrics; the Dice is always among them.
        tolerance: Of the normalised surface Dice, mm.
        lesion_rule: Key of `nnunet_hetero.evaluation.scores.metric_settings.LESION_RULES`.

    Raises:
        SettingsError: If a name is unknown, a number impossible, or a metric of another package does not work.

    Examples:
        >>> MetricOptions(("lesion", "hd95")).columns
        ('dice', 'hd95', 'lesion_dice', 'lesion_hd95')
    """

    names: tuple[str, ...] = field(default_factory=default_names)
    tolerance: float = MetricSettings.tolerance
    lesion_rule: str = MetricSettings.lesion_rule

    def __post_init__(self) -> None:
        known = all_metrics()
        unknown = [name for name in self.names if name not in known]
        if unknown:
            raise SettingsError(f"--metrics: there is no '{unknown[0]}'. Choose from: all, {', '.join(known)}.")
        settings = self.settings  # refuses impossible numbers
        for metric in self.metrics:
            if metric not in BUILT_IN:
                metric.try_out(settings)

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        tolerance: float = MetricSettings.tolerance,
        lesion_rule: str = MetricSettings.lesion_rule,
    ) -> MetricOptions:
        """The same from the flags, where ``all`` stands for every metric."""
        names = tuple(names)
        return cls(tuple(all_metrics()) if "all" in names else names, tolerance, lesion_rule)

    @cached_property
    def settings(self) -> MetricSettings:
        """What the metrics need to know."""
        return MetricSettings(self.tolerance, self.lesion_rule)

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics, in the order of their columns."""
        return tuple(metric for name, metric in all_metrics().items() if name in (DICE, *self.names))

    @property
    def scores(self) -> dict[str, Score]:
        """How the numbers are shown, by column, in order."""
        scores = {}
        for metric in self.metrics:
            scores.update({column.name: column.score for column in metric.columns})
        return scores

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the numbers, in order."""
        return tuple(self.scores)

    @property
    def conventions(self) -> dict[str, str]:
        """What each column's number means, and what an empty region counts."""
        conventions = {}
        for metric in self.metrics:
            conventions.update(metric.conventions(self.settings))
        return conventions

    def measure(self, masks: RegionMasks) -> dict[str, float]:
        """All numbers of one region by column; NaN where there is no value."""
        found = {}
        for metric in self.metrics:
            found.update(metric.measure(masks, self.settings))
        return found
