"""Every metric that there is: those of the package, and those of others, in one place.

Another package offers a metric by an entry point of the group ``nnunet_hetero.metrics``, a script by `register`; both
hand over a `nnunet_hetero.evaluation.scores.metric.Metric`, and everything else follows from that.
"""

from __future__ import annotations

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.built_in import BUILT_IN
from nnunet_hetero.evaluation.scores.metric import Metric
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.extensions import extensions, load_extension, named

GROUP = "nnunet_hetero.metrics"


class _Registry:
    """Metrics by name, in the order of their columns; entry points are read with the first question."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._is_complete = False
        for metric in BUILT_IN:
            self.add(metric)

    def add(self, metric: Metric) -> None:
        taken = {"case", "subset", "n_modalities", "region"}
        for other in self._metrics.values():
            taken |= {column.name for column in other.columns}
        if metric.name in self._metrics:
            raise SettingsError(f"There is a metric '{metric.name}' already. Give yours another name.")
        names = [column.name for column in metric.columns]
        for name in names:
            if name in taken or names.count(name) > 1:
                raise SettingsError(
                    f"Metric '{metric.name}': there is a column '{name}' in metrics.csv already. Give it another name."
                )
        self._metrics[metric.name] = metric

    def all(self) -> dict[str, Metric]:
        if not self._is_complete:
            for entry in extensions(GROUP):
                metric = load_extension(entry)
                if not isinstance(metric, Metric):
                    raise SettingsError(
                        f"{named(entry)} is of type {type(metric).__name__}, not a Metric of "
                        "nnunet_hetero.evaluation.scores.metric."
                    )
                self.add(metric)
            self._is_complete = True
        return dict(self._metrics)


_REGISTRY = _Registry()


def register(metric: Metric) -> Metric:
    """Make a metric known in this process; then ``--metrics``, tables and reports have it as any other.

    Returns:
        The metric.

    Raises:
        SettingsError: If its name or one of its columns is taken.
    """
    all_metrics()
    _REGISTRY.add(metric)
    return metric


def all_metrics() -> dict[str, Metric]:
    """Every metric by its name, in the order of their columns.

    Raises:
        SettingsError: If an entry point cannot be loaded, is no metric, or takes a name that there is.

    Examples:
        >>> list(all_metrics())[:4]
        ['dice', 'hd95', 'nsd', 'lesion']
    """
    return _REGISTRY.all()


def known_scores() -> dict[str, Score]:
    """How every column of ``metrics.csv`` is shown, by its name."""
    scores = {}
    for metric in all_metrics().values():
        scores.update({column.name: column.score for column in metric.columns})
    return scores
