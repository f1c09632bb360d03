"""Trainings side by side: all are done, a failure stops no other, another call's are waited for."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from head_to_head.methods import Method
from head_to_head.side_by_side import ONE_THREAD, expected, run_all
from helpers.accidents.long_command import LAST_WORDS, LONG, stopped_alone

from nnunet_hetero.demo.steps import StepFailed, Steps
from nnunet_hetero.io.atomic_files import alone_in


class Training:
    """Takes the place of a `TrainingRun`: a folder of its own and work that is noted."""

    def __init__(self, out: Path, fold: int, work=lambda: None):
        self.method, self.seed, self.fold = Method("ours", "HeteroModalVAETrainer"), 0, fold
        self.folder = out / f"fold_{fold}"
        self.folder.mkdir(parents=True)
        self.finished = self.trained = False
        self.record = {"num_epochs": 10, "num_iterations_per_epoch": 36}
        self._work = work

    def run(self, steps, device, metrics):
        self._work()
        self.finished = True


@pytest.fixture
def steps(tmp_path):
    return Steps(tmp_path, 10)


def test_as_many_at_once_as_asked_for(tmp_path, steps):
    together = threading.Barrier(2, timeout=20)  # breaks if one waits for the other to end
    runs = [Training(tmp_path, fold, together.wait) for fold in range(4)]
    run_all(runs, steps, "cpu", ["dice"], 2)
    assert all(run.finished for run in runs)
    assert ONE_THREAD.items() <= steps.environment.items()


def test_a_failure_stops_no_other_and_is_told(tmp_path, steps):
    def fail():
        raise StepFailed("no space")

    runs = [Training(tmp_path, 0, fail), Training(tmp_path, 1), Training(tmp_path, 2, fail)]
    with pytest.raises(StepFailed, match=r"no space\n\nno space"):
        run_all(runs, steps, "cpu", ["dice"], 1)
    assert runs[1].finished


def test_what_another_call_is_at_work_on_comes_last(tmp_path, steps, capsys):
    order, release = [], threading.Event()
    runs = [Training(tmp_path, fold, lambda fold=fold: order.append(fold)) for fold in range(3)]

    def other_call():
        with alone_in(runs[0].folder):
            begun.set()
            release.wait(20)

    begun = threading.Event()
    thread = threading.Thread(target=other_call)
    thread.start()
    begun.wait(20)
    runs[2]._work = lambda: (order.append(2), release.set())
    run_all(runs, steps, "cpu", ["dice"], 1)
    thread.join()
    assert order == [1, 2, 0]
    assert "1 training(s) are in the hands of another call" in capsys.readouterr().out


def test_what_it_costs_is_said(tmp_path):
    runs = [Training(tmp_path, fold) for fold in range(3)]
    runs[0].trained = True
    cost = {"found": {"ours": {"seconds": 5.0, "cpu_seconds": 10.0}}}
    assert "2 training(s) of 360 steps are left: about 1.0 hours, with nothing else" in expected(runs, cost, 1)
    assert "about 2.0 hours with 1 at once" in expected(runs[:2] + runs[:1], cost, 2).replace("1.0", "2.0")
    runs[1].trained = runs[2].trained = True
    assert expected(runs, cost, 1) == "All trainings are done."


STOPPED = """
import sys
from pathlib import Path
from head_to_head.methods import Method
from head_to_head.side_by_side import run_all
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.io.stopping.requests import StopRequest, requests_to_stop

class Training:
    method, seed, finished = Method("ours", "HeteroModalVAETrainer"), 0, False
    def __init__(self, fold):
        self.fold, self.folder = fold, Path(sys.argv[1]) / str(fold)
        self.folder.mkdir()
    def run(self, steps, device, metrics):
        steps.run(f"long_{self.fold}", [sys.executable, "-c", sys.argv[2]], show="begun")

try:
    with requests_to_stop():
        run_all([Training(fold) for fold in range(4)], Steps(Path(sys.argv[1]), 4), "cpu", ["dice"], 2)
except StopRequest:
    sys.exit(143)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_who_stops_the_benchmark_stops_its_trainings(tmp_path):
    """A scheduler may stop our process alone: trainings that go on would be in the way of the next call."""
    words = [sys.executable, "-c", STOPPED, str(tmp_path), LONG]
    assert stopped_alone(words, 2) == 143
    logs = sorted(tmp_path.glob("logs/*.log"))
    assert [log.read_text() for log in logs] == [LAST_WORDS] * 2
