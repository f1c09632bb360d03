"""Jobs on a real cluster of two processes, some of which kill their workers."""

from __future__ import annotations

import pytest
from helpers.cluster.cluster_jobs import begun, double

from nnunet_hetero.cluster import fan_out
from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.processes import FatalError


def test_every_job_has_its_outcome_whatever_is_in_flight(client, monkeypatch):
    monkeypatch.setattr(fan_out, "IN_FLIGHT", 3)
    found = dict(FanOut(client, "double").run(double, {f"job {number}": (number,) for number in range(14)}))
    assert {name: outcome.result for name, outcome in found.items() if outcome.error is None} == {
        f"job {number}": 2 * number for number in range(13)
    }
    assert found["job 13"].error == "13 is no number for us"


def test_what_is_wrong_with_a_worker_ends_all(client):
    with pytest.raises(FatalError, match="no worker for us"):
        dict(FanOut(client, "double").run(double, {"a": (14,), "b": (1,)}))


def test_what_a_worker_cannot_import_is_told(client):
    with pytest.raises(SettingsError, match=r"A worker cannot take the work: .*same version"):
        dict(FanOut(client, "odd").run(OnlyHere(), {"a": ()}))


class OnlyHere:
    """Comes apart on the way."""

    def __reduce__(self):
        return _not_on_a_worker, ()


def _not_on_a_worker():
    raise ModuleNotFoundError("No module named 'nnunet_hetero'")


def test_deaths_cost_nothing_but_the_job_that_kills_three(client, tmp_path):
    """One job dies once and is done; one always kills, and is left after three; its neighbours are done."""
    deaths = {"once": 1, "always": 99, **{f"neighbour {number}": 0 for number in range(6)}}
    jobs = {name: (str(tmp_path), name, times) for name, times in deaths.items()}
    fan = FanOut(client, "begun")
    found = dict(fan.run(begun, jobs))
    assert [name for name, outcome in found.items() if outcome.error] == ["always"]
    assert "3 workers died over it, the last one while nothing else ran" in found["always"].error
    tries = {name: len(list(tmp_path.glob(f"{name}.*"))) for name in deaths}
    assert 2 <= tries["always"] <= 3 and tries["once"] >= 2  # a death also counts for who waits beside
    assert all(found[name].result for name in deaths if name != "always")


def test_what_has_not_begun_is_given_up(client):
    outcomes = FanOut(client, "double").run(double, {number: (number,) for number in range(12)})
    next(outcomes)
    outcomes.close()
    assert dict(FanOut(client, "double").run(double, {"later": (3,)}))["later"].result == 6
