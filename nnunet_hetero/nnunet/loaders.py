"""nnU-Net's data loaders: cases sampled with given probabilities, and background processes that never outlive us.

nnU-Net's data loader can sample so, its trainer has no place to say the probabilities. Its background processes wait
forever for a training that was killed, and they die of a signal that a scheduler sends to all processes of a job, which
the training itself is to answer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

WATCH_SECONDS = 1.0
"""How often a background process looks whether the training is still there."""


class LoaderOfTraining(nnUNetDataLoader):
    """nnU-Net's loader, whose background processes end with the training and listen to no one else."""

    def set_thread_id(self, thread_id: int) -> None:
        """The first that nnU-Net's background processes call."""
        super().set_thread_id(thread_id)
        _listen_to_parent_only(os.getppid())


def _listen_to_parent_only(parent: int) -> None:
    """Leave signals of a scheduler to the training; end at its SIGTERM, and when it is gone."""
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # says who sent it; not on macOS and Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def watch() -> None:
        while os.getppid() == parent:
            if not hasattr(signal, "sigtimedwait"):
                time.sleep(WATCH_SECONDS)
                continue
            received = signal.sigtimedwait({signal.SIGTERM}, WATCH_SECONDS)
            if received is not None and received.si_pid == parent:
                break
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def loaders_of_training() -> Iterator[None]:
    """Let nnU-Net's trainer make `LoaderOfTraining`s meanwhile, which sample cases as their dataset asks for.

    A dataset asks by an attribute ``sampling_probabilities``: one per identifier, in that order, summing to 1. Without
    it, or with None, its cases are sampled uniformly.
    """
    original = nnunet.nnUNetDataLoader

    def loader(data: nnUNetBaseDataset, *arguments: Any, **keywords: Any) -> LoaderOfTraining:
        return LoaderOfTraining(
            data,
            *arguments,
            **{**keywords, "sampling_probabilities": getattr(data, "sampling_probabilities", None)},
        )

    nnunet.nnUNetDataLoader = loader
    try:
        yield
    finally:
        nnunet.nnUNetDataLoader = original


def stop_loaders(*loaders: Any) -> None:
    """End the background processes of nnU-Net's loaders; those that load in this process, and None, have none."""
    for loader in loaders:
        if hasattr(loader, "_finish"):
            loader._finish()
