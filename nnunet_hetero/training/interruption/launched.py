"""A training command that starts one process per GPU hands requests to stop on to them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from types import FrameType

from nnunet_hetero.training.interruption.stop_signals import STOPPED, StoppedError, handled_by


@contextlib.contextmanager
def signals_passed_on() -> Iterator[None]:
    """Within, SIGTERM and SIGUSR1 reach the processes that were started; without any, the training ends at once.

    A trainer in this process hears them itself as long as it has something to finish.

    Raises:
        StoppedError: If the training, here or in the processes that were started, was asked to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        ranks = multiprocessing.active_children()
        if not ranks:
            raise StoppedError
        for process in ranks:
            if process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    try:
        with handled_by(pass_on):
            yield
    except Exception as end:
        # What torch raises when a process that it started has ended; imported here, it would take seconds.
        if type(end).__name__ == "ProcessExitedException" and (asked or getattr(end, "exit_code", None) == STOPPED):
            raise StoppedError from end
        raise
