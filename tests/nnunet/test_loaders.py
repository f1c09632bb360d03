"""Loaders of nnU-Net's trainer that sample as their dataset asks for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

from nnunet_hetero.nnunet import loaders
from nnunet_hetero.nnunet.loaders import loaders_of_training, stop_loaders


@pytest.fixture
def made(monkeypatch):
    """Arguments of the loaders that are made, by the name that nnU-Net's trainer uses."""
    calls = []
    monkeypatch.setattr(loaders, "LoaderOfTraining", lambda *given, **named: calls.append((given, named)))
    return calls


def test_probabilities_reach_the_loader_and_the_rest_stays(made):
    dataset = SimpleNamespace(sampling_probabilities=[0.25, 0.75])
    with loaders_of_training():
        nnunet.nnUNetDataLoader(dataset, 2, pad_sides=None, sampling_probabilities=None)
    assert made == [((dataset, 2), {"pad_sides": None, "sampling_probabilities": [0.25, 0.75]})]


def test_a_dataset_that_asks_for_nothing_is_sampled_uniformly(made):
    with loaders_of_training():
        nnunet.nnUNetDataLoader(SimpleNamespace())
    assert made[0][1] == {"sampling_probabilities": None}


def test_nnunet_is_left_as_it_was_even_after_an_error():
    before = nnunet.nnUNetDataLoader
    with pytest.raises(RuntimeError, match="no data"), loaders_of_training():
        assert nnunet.nnUNetDataLoader is not before
        raise RuntimeError("no data")
    assert nnunet.nnUNetDataLoader is before


def listening(parent_of_it, ready) -> None:
    """A background process of a loader."""
    loaders._listen_to_parent_only(parent_of_it)
    ready.set()
    time.sleep(60)


@pytest.fixture
def process():
    """Such a process of ours, that listens already."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    started = context.Process(target=listening, args=(os.getpid(), ready), daemon=True)
    started.start()
    ready.wait()
    yield started
    started.kill()


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="the platform does not say who sent a signal")
def test_a_background_process_leaves_the_schedulers_signals_to_the_training(process):
    for name in ("TERM", "USR1"):
        subprocess.run(["bash", "-c", f"kill -{name} {process.pid}"], check=True)
    time.sleep(0.5)
    assert process.is_alive()
    process.terminate()
    process.join(10)
    assert not process.is_alive()


def test_a_background_process_ends_with_the_training(monkeypatch):
    monkeypatch.setattr(loaders, "WATCH_SECONDS", 0.1)
    context = multiprocessing.get_context("fork")
    ready, number = context.Event(), context.Value("i")

    def train() -> None:
        child = context.Process(target=listening, args=(os.getpid(), ready))
        child.start()
        number.value = child.pid
        time.sleep(60)

    training = context.Process(target=train)
    training.start()
    ready.wait()
    training.kill()
    training.join()
    deadline = time.monotonic() + 10
    while is_there(number.value) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(number.value)


def is_there(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{number}/stat")  # a zombie, where no one collects it
    return not stat.is_file() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_only_loaders_with_processes_are_ended():
    ended = []
    stop_loaders(None, SimpleNamespace(), SimpleNamespace(_finish=lambda: ended.append(1)))
    assert ended == [1]
