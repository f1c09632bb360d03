"""A command that has started processes hands requests to stop on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
from torch.multiprocessing.spawn import ProcessExitedException

from nnunet_hetero.io.stopping.handlers import stop_numbers
from nnunet_hetero.training.interruption.launched import signals_passed_on
from nnunet_hetero.training.interruption.stop_signals import STOPPED, StoppedError, StopSignals


def rank(ready) -> None:
    """Ends as a training does that was asked to stop."""
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(STOPPED))
    ready.set()
    time.sleep(60)


def test_without_processes_it_ends_at_once(monkeypatch):
    monkeypatch.setattr(multiprocessing, "active_children", list)  # another test's may be left
    before = [signal.getsignal(number) for number in stop_numbers()]
    with pytest.raises(StoppedError), signals_passed_on():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert [signal.getsignal(number) for number in stop_numbers()] == before


def test_where_python_ignores_it_it_is_raised_again(monkeypatch):
    """As while a module is imported; what is raised there must not be lost, nor the request that it stands for."""

    class Freed:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.01)

    monkeypatch.setattr(multiprocessing, "active_children", list)
    with pytest.raises(StoppedError), signals_passed_on():
        Freed()
        time.sleep(20)
        raise AssertionError("it went on")
    stop = StopSignals()
    with signals_passed_on():
        Freed()
        with stop.heard():  # the trainer's, which begins meanwhile
            time.sleep(0.3)
            assert stop.reason is not None


def test_processes_hear_it():
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=rank, args=(ready,))
    process.start()
    ready.wait()
    with pytest.raises(StoppedError), signals_passed_on():
        os.kill(os.getpid(), signal.SIGUSR1)
        process.join()
        raise ProcessExitedException("ended", 0, process.pid, exit_code=process.exitcode)
    assert process.exitcode == STOPPED


def test_another_end_of_a_process_stays_an_error():
    with pytest.raises(ProcessExitedException), signals_passed_on():
        raise ProcessExitedException("ended", 0, 1, exit_code=1)
