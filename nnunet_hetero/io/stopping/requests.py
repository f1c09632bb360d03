"""A scheduler's request to stop ends a command as Ctrl-C does."""

from __future__ import annotations

import _thread
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from nnunet_hetero.io.stopping.handlers import heard_by, stop_numbers

SAME_REQUEST_SECONDS = 1.0
"""Signals so close together are one request: one came directly, the other through torchrun, srun or a shell."""

SECONDS_TO_END = 20.0
"""For a command that is to stop where it is; then it is ended by force. A pool of processes, one of which was ended,
too, while it held a lock of the pool, waits for that lock forever."""


class StopRequest(KeyboardInterrupt):
    """A scheduler's signal, which ends a command as Ctrl-C does.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def requests_to_stop(go_on: str = "") -> Iterator[None]:
    """Within, signals of schedulers end the main thread as Ctrl-C does; a second one ends the process at once.

    So does the end of `SECONDS_TO_END`, whoever has caught the first one: Python ignores what is raised in callbacks,
    and a process on its way out may wait for others. Signals that are heard or ignored already stay so.

    Args:
        go_on: How the rest is done, in a sentence, for a process that ends at once.

    Raises:
        StopRequest: Wherever the main thread is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked_at = 0.0

    def end_soon(request: StopRequest) -> None:
        time.sleep(SECONDS_TO_END)
        os._exit(stopped_by_user(request, go_on))

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        if not asked_at:
            asked_at, request = time.monotonic(), StopRequest(number)
            _thread.start_new_thread(end_soon, (request,))
            raise request
        elif time.monotonic() - asked_at > SAME_REQUEST_SECONDS:
            os._exit(stopped_by_user(StopRequest(number), go_on))

    with heard_by(hear, [number for number in stop_numbers() if signal.getsignal(number) == signal.SIG_DFL]):
        yield


def stopped_by_user(interrupt: KeyboardInterrupt, go_on: str = "") -> int:
    """End all processes that this one has started, and say in one line that it was stopped.

    Args:
        interrupt: Ctrl-C, or the request of a scheduler.
        go_on: How the rest is done, in a sentence.

    Returns:
        The exit code as shells have it: 128 and the signal's number.
    """
    children = multiprocessing.active_children()
    for process in children:
        process.kill()
    for process in children:
        process.join(1)
    number = interrupt.number if isinstance(interrupt, StopRequest) else signal.SIGINT
    who = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    said = f"\nStopped by {who}. What was finished is there as a whole, nothing is half written. {go_on}"
    print(said.rstrip(), file=sys.stderr, flush=True)
    return 128 + number
