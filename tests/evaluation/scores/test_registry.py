"""All metrics in one place."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from nnunet_hetero import extensions
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores import registry
from nnunet_hetero.evaluation.scores.built_in import BUILT_IN
from nnunet_hetero.evaluation.scores.metric import Column, Metric
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.scores.registry import all_metrics, known_scores, register
from nnunet_hetero.evaluation.scores.score import Score


def constant(name: str, column: str, value: float = 0.5) -> Metric:
    return Metric(name, (Column(column, Score(name.title(), "%", 100), "x"),), lambda masks, settings: value)


MINE = constant("mine", "my_column")


@pytest.fixture(autouse=True)
def offered(monkeypatch):
    """A registry of its own for each test; sets what other packages offer."""
    monkeypatch.setattr(registry, "_REGISTRY", type(registry._REGISTRY)())

    def set_offered(*names: str) -> None:
        entries = [EntryPoint(name, f"{__name__}:{name}", registry.GROUP) for name in names]
        monkeypatch.setattr(extensions, "entry_points", lambda group: entries)
        monkeypatch.setattr(registry, "load_extension", lambda entry: globals()[entry.name])

    set_offered()
    return set_offered


def test_those_of_the_package():
    assert list(all_metrics().values()) == list(BUILT_IN)
    assert list(known_scores()) == list(MetricOptions.of(["all"]).columns)


def test_an_entry_point_comes_after_them(offered):
    offered("MINE")
    assert list(all_metrics())[-1] == "mine"
    assert MetricOptions.of(["all"]).columns[-1] == "my_column"
    assert "mine" not in MetricOptions().names
    assert known_scores()["my_column"].title == "Mine"


def test_registered_in_a_script():
    assert register(MINE) is MINE
    assert MetricOptions(("mine",)).columns == ("dice", "my_column")


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (constant("hd95", "my_column"), "There is a metric 'hd95' already"),
        (constant("mine", "hd95"), "there is a column 'hd95' in metrics.csv already"),
        (constant("mine", "region"), "there is a column 'region' in metrics.csv already"),
        (Metric("mine", (*MINE.columns, *MINE.columns), MINE.compute), "there is a column 'my_column'"),
    ],
)
def test_names_are_taken_once(metric, message):
    with pytest.raises(SettingsError, match=message):
        register(metric)
    assert "mine" not in all_metrics()


NO_METRIC = 3


def test_an_entry_point_that_is_no_metric(offered):
    offered("NO_METRIC")
    with pytest.raises(SettingsError, match=r"'NO_METRIC' of .*metrics\) is of type int, not a Metric"):
        all_metrics()


def test_a_metric_that_fails_is_refused_when_it_is_asked_for_and_not_before():
    register(Metric("bad", MINE.columns, lambda masks, settings: 1 / 0))
    assert "bad" not in MetricOptions().names
    with pytest.raises(SettingsError, match="Metric 'bad' fails on a prediction of 24 and a truth of 24"):
        MetricOptions(("bad",))
