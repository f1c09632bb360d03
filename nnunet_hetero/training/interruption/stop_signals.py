"""Signals by which a scheduler asks a training to stop, and the time after which it stops by itself."""

from __future__ import annotations

import _thread
import contextlib
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.stopping.handlers import Handler, heard_by, stop_numbers
from nnunet_hetero.io.stopping.requests import SAME_REQUEST_SECONDS, SECONDS_TO_END

STOPPED = 75
"""Exit code of a training that stopped because it was asked to, and can go on: ``EX_TEMPFAIL`` of BSD's sysexits.h, "a
temporary failure, try again later". No other end of a training has it."""

MAX_TIME_VARIABLE = "NNUNET_HETERO_MAX_TIME"
"""Environment variable, ``HH:MM``: how long a training may take; ``nnunet_hetero train --max_time`` sets it."""

RESERVE_SECONDS = 120.0
"""A training stops so long before its time is up, or a tenth of the time if that is less: for the step that runs, and
for the checkpoint."""

SECONDS_TO_RAISE_AGAIN = 0.05
"""After a request was raised where Python ignores what is raised."""

_sent_by_us: set[int] = set()
"""Signals of this process to itself that are under way: they repeat a request, and are no second one."""


class StoppedError(SystemExit):
    """The training ends here, and can go on; uncaught, it is the exit code `STOPPED`."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


def read_max_time(text: str) -> float:
    """Seconds of a duration ``HH:MM``.

    Raises:
        SettingsError: If it is none, or no time at all.

    Examples:
        >>> read_max_time("23:45")
        85500.0
    """
    found = re.fullmatch(r"(\d{1,4}):([0-5]\d)", text, re.ASCII)
    seconds = 60.0 * (60 * int(found[1]) + int(found[2])) if found else 0.0
    if not seconds:
        raise SettingsError(f"The longest time is '{text}'; give hours and minutes as HH:MM, e.g. 23:45.")
    return seconds


class StopSignals:
    """Whether a training was asked to stop: by SIGTERM or SIGUSR1, or because its time is up.

    The first request is remembered until the training comes to a place where it can stop, a second one ends the
    process at once. Only the main thread can hear signals; a training in another one goes by its time alone.

    Args:
        max_time: Seconds from now on; None for any number.

    Attributes:
        reason: Who asked, in words; None as long as no one did.
    """

    def __init__(self, max_time: float | None = None):
        self.reason: str | None = None
        self._deadline = None if max_time is None else time.monotonic() + max_time - min(RESERVE_SECONDS, max_time / 10)
        self._asked_at = 0.0
        self._at_once = False
        self._force: threading.Timer | None = None

    @classmethod
    def of_environment(cls) -> StopSignals:
        """With the time of `MAX_TIME_VARIABLE`."""
        text = os.environ.get(MAX_TIME_VARIABLE)
        return cls(read_max_time(text) if text else None)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Within, requests are taken; before and after, signals do what they did."""
        with contextlib.ExitStack() as stack:
            if threading.current_thread() is threading.main_thread():
                _sent_by_us.clear()
                stack.enter_context(handled_by(self._hear))
            timer = self._start_timer()
            if timer is not None:
                stack.callback(timer.cancel)
            yield

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, where requests are heard, one ends the training wherever it is: there is nothing to be finished.

        Raises:
            StoppedError: At the request, or here if it came before.
        """
        self._at_once = True
        try:
            self.leave_if_asked()
            yield
        finally:
            self._at_once = False
            if self._force is not None:
                self._force.cancel()
                self._force = None

    def leave_if_asked(self) -> None:
        """End the training here if it was asked to stop.

        Raises:
            StoppedError: If it was.
        """
        if self.reason is not None:
            raise StoppedError

    def _hear(self, number: int, frame: FrameType | None) -> None:
        now, by_us = time.monotonic(), number in _sent_by_us
        _sent_by_us.discard(number)
        if self.reason is None:
            self.reason, self._asked_at = signal.Signals(number).name, now
        elif now - self._asked_at > SAME_REQUEST_SECONDS and not by_us:
            _end_now(128 + number, "by a second signal")
        if self._at_once:
            if self._force is None:
                late = f"{SECONDS_TO_END:.0f} s after it was asked to"
                self._force = threading.Timer(SECONDS_TO_END, _end_now, [STOPPED, late])
                self._force.daemon = True
                self._force.start()
            raise StoppedError

    def _start_timer(self) -> threading.Timer | None:
        if self._deadline is None or self.reason is not None:
            return None
        main_hears = threading.current_thread() is threading.main_thread()
        timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), self._time_is_up, [main_hears])
        timer.daemon = True
        timer.start()
        return timer

    def _time_is_up(self, main_hears: bool) -> None:
        if self.reason is None:
            self.reason, self._asked_at = "the time that it may take", time.monotonic()
            if main_hears and self._at_once:
                _interrupt_main_thread()


@contextlib.contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Within, a handler hears requests to stop; for the main thread.

    What it raises comes up where the thread happens to be, and Python ignores it in callbacks of its own, as at a fork
    or when an object is freed. A `StoppedError` that is ignored is raised again: the thread is sent a signal once more.
    """
    ignore = sys.unraisablehook

    def hear_ignored(ignored: Any) -> None:
        if isinstance(ignored.exc_value, StoppedError):
            _thread.start_new_thread(_interrupt_soon, ())  # a `Thread` waits for locks, which may be held here
        else:
            ignore(ignored)

    with heard_by(handler, stop_numbers()):
        sys.unraisablehook = hear_ignored
        try:
            yield
        finally:
            sys.unraisablehook = ignore


def _interrupt_soon() -> None:
    time.sleep(SECONDS_TO_RAISE_AGAIN)
    _interrupt_main_thread()


def _interrupt_main_thread() -> None:
    _sent_by_us.add(signal.SIGTERM)
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)  # wakes it where it waits, too
    else:
        _thread.interrupt_main(signal.SIGTERM)


def _end_now(code: int, why: str) -> None:
    """End this process and those that it has started."""
    print(f"\nStopped at once {why}. The last checkpoint is whole.", file=sys.stderr, flush=True)
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(code)
