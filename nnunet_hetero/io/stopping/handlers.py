"""Who hears the signals that end processes: this one for as long as it wants to, and none that it starts."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

_of_this_process: list[Handler] = []


def stop_numbers() -> list[signal.Signals]:
    """The signals by which schedulers ask a process to stop, where the platform has them."""
    return [signal.Signals[name] for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]


@contextlib.contextmanager
def heard_by(handler: Handler, numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """Within, a handler hears these signals, in the main thread; after it, they do what they did before.

    A process that is forked meanwhile ends at them, as processes do: nnU-Net's pools and Python's end theirs by SIGTERM
    and wait for it.

    Args:
        handler: What is called with the signal's number, and with the frame that it interrupts.
        numbers: Of `stop_numbers`.
    """
    _let_forks_be_deaf()
    _of_this_process.append(handler)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, signal.SIG_DFL if own is None else own)
        _of_this_process.remove(handler)


@functools.cache
def _let_forks_be_deaf() -> None:
    """The signals wait while a fork is made: one that came before the fork knows that it is one would be lost."""
    if not hasattr(os, "register_at_fork"):  # Windows
        return
    thread = threading.local()

    def wait() -> None:
        thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, stop_numbers())

    def go_on() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, thread.mask)

    def begin_child() -> None:
        for number in stop_numbers():
            if signal.getsignal(number) in _of_this_process:
                signal.signal(number, signal.SIG_DFL)
        go_on()

    os.register_at_fork(before=wait, after_in_parent=go_on, after_in_child=begin_child)


@contextlib.contextmanager
def unheard_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C, not even while they are still importing."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started later, it would unblock the signal.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
