"""Requests to stop: remembered or raised, one for signals that come together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.stopping.handlers import stop_numbers
from nnunet_hetero.training.interruption import stop_signals
from nnunet_hetero.training.interruption.stop_signals import (
    MAX_TIME_VARIABLE,
    STOPPED,
    StoppedError,
    StopSignals,
    read_max_time,
)

every_signal = pytest.mark.parametrize("number", stop_numbers())


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize(("text", "seconds"), [("00:01", 60), ("1:30", 5400), ("167:59", 604740)])
def test_time(text, seconds):
    assert read_max_time(text) == seconds


@pytest.mark.parametrize("text", ["", "0:00", "90", "1:60", "1:5", "-1:00", "1h", "١:30"])
def test_no_time(text):
    with pytest.raises(SettingsError, match="HH:MM"):
        read_max_time(text)


@every_signal
def test_the_first_is_remembered_and_handlers_are_put_back(number):
    before = [signal.getsignal(each) for each in stop_numbers()]
    stop = StopSignals()
    with stop.heard():
        stop.leave_if_asked()
        send(number)
        assert stop.reason == signal.Signals(number).name
    assert [signal.getsignal(each) for each in stop_numbers()] == before
    with pytest.raises(SystemExit) as end:
        stop.leave_if_asked()
    assert end.value.code == STOPPED == 75


@every_signal
def test_where_nothing_is_to_be_finished_it_is_raised(number):
    stop = StopSignals()
    with pytest.raises(StoppedError), stop.heard(), stop.at_once():
        send(number)
        raise AssertionError("it went on")


@every_signal
def test_it_is_raised_where_it_came_before_and_remembered_where_it_comes_after(number):
    stop = StopSignals()
    with stop.heard():
        with stop.at_once():
            pass
        send(number)
        assert stop.reason == signal.Signals(number).name
        with pytest.raises(StoppedError), stop.at_once():
            raise AssertionError("it went on")


def test_a_second_one_ends_at_once_but_not_the_same_request_twice(monkeypatch):
    ended = []
    monkeypatch.setattr(stop_signals, "_end_now", lambda code, _: ended.append(code))
    stop = StopSignals()
    with stop.heard():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert not ended
        monkeypatch.setattr(stop_signals, "SAME_REQUEST_SECONDS", 0.0)
        send(signal.SIGUSR1)
    assert ended == [128 + signal.SIGUSR1]


class Freed:
    """Where it is freed, the process is asked to stop; Python ignores what is raised there."""

    def __del__(self):
        send(signal.SIGTERM)


def test_where_python_ignores_it_it_is_raised_again_and_no_second_one(monkeypatch):
    monkeypatch.setattr(stop_signals, "SAME_REQUEST_SECONDS", 0.0)
    monkeypatch.setattr(stop_signals, "_end_now", lambda *_: pytest.fail("taken for a second one"))
    hook = sys.unraisablehook
    stop = StopSignals()
    with pytest.raises(StoppedError), stop.heard(), stop.at_once():
        Freed()
        time.sleep(20)
        raise AssertionError("it went on")
    assert sys.unraisablehook is hook


HANGING = """
import multiprocessing, os, signal, time
from nnunet_hetero.training.interruption import stop_signals
if __name__ == "__main__":
    stop_signals.SECONDS_TO_END = 0.5
    stop = stop_signals.StopSignals()
    with stop.heard(), stop.at_once(), multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(abs, (1,))
        (worker,) = pool._pool
        pool._maintain_pool = pool._repopulate_pool = lambda *_: None
        os.kill(worker.pid, signal.SIGKILL)  # which waits for work, and holds the lock of it
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pools of other systems wait otherwise")
def test_what_does_not_end_by_itself_is_ended(tmp_path):
    """The pool that writes the segmentations of the validation, for one."""
    (tmp_path / "hanging.py").write_text(HANGING)
    done = subprocess.run([sys.executable, "hanging.py"], cwd=tmp_path, timeout=300, capture_output=True, text=True)
    assert done.returncode == STOPPED and "Stopped at once 0 s after it was asked to" in done.stderr


def test_the_end_of_the_time_is_a_request(monkeypatch):
    monkeypatch.setattr(stop_signals, "RESERVE_SECONDS", 59.95)
    stop = StopSignals(max_time=60.0 * 10 * 60)
    assert stop._deadline == pytest.approx(time.monotonic() + 36000 - 59.95, abs=1)
    stop = StopSignals(max_time=0.2)
    with stop.heard():
        assert stop.reason is None
        time.sleep(0.4)
        assert stop.reason == "the time that it may take"


def test_the_end_of_the_time_wakes_who_waits():
    begin = time.monotonic()
    stop = StopSignals(max_time=0.1)
    with pytest.raises(StoppedError), stop.heard(), stop.at_once():
        threading.Event().wait(20)
    assert time.monotonic() - begin < 10


def test_time_of_the_environment(monkeypatch):
    monkeypatch.setenv(MAX_TIME_VARIABLE, "soon")
    with pytest.raises(SettingsError, match="soon"):
        StopSignals.of_environment()
    monkeypatch.delenv(MAX_TIME_VARIABLE)
    assert StopSignals.of_environment()._deadline is None


def test_in_another_thread_it_hears_nothing_and_breaks_nothing():
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def run():
        stop = StopSignals(max_time=0.05)
        with stop.heard():
            found.append(signal.getsignal(signal.SIGTERM))
            time.sleep(0.3)
        found.append(stop.reason)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before, "the time that it may take"]
