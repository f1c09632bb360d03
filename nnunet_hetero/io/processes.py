"""Background processes for many cases, in order; one case that fails or kills its process does not stop the others.

Ctrl-C reaches all processes of a terminal's group. Ours must not take it for the failure of a case and go on with the
next one, so they never see it: the process that started them ends them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from nnunet_hetero.errors import HeteroError, os_error_in_words
from nnunet_hetero.io.console import make_printable
from nnunet_hetero.io.stopping.handlers import unheard_interrupts


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        result: What it returned; None after an error.
        error: Why it failed, in words; None if all went well.
        seconds: How long it ran, without its time in the queue.
    """

    result: Any = None
    error: str | None = None
    seconds: float = 0.0


@dataclass
class _Job:
    key: Any
    function: Callable
    arguments: tuple
    future: Future = field(default_factory=Future)


class Workers:
    """Runs jobs in background processes and gives their outcomes in the order of submission.

    When a process dies, as under the kernel's hand when memory runs out, every job that was in its pool is lost. They
    run again, the oldest one alone: if it takes a process down once more, it is the culprit and ends with an error.

    Args:
        num_processes: 0 runs each job in this process, when it is submitted.
    """

    def __init__(self, num_processes: int):
        self.num_processes = num_processes
        self._jobs: deque[_Job] = deque()
        self._pool: ProcessPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exception: Any) -> None:
        self._jobs.clear()
        if kind is not None:
            self._kill_pool()
        self._end_pool()

    def submit(self, key: Any, function: Callable, *arguments: Any) -> None:
        """Add a job; ``key`` comes back with its outcome."""
        job = _Job(key, function, arguments)
        self._start(job)
        self._jobs.append(job)

    def oldest_is_done(self) -> bool:
        """Whether `pop` would return at once."""
        return bool(self._jobs) and self._jobs[0].future.done()

    def pop(self) -> tuple[Any, Outcome]:
        """Wait for the oldest job; its key and its outcome."""
        job = self._jobs.popleft()
        try:
            return job.key, job.future.result()
        except BrokenProcessPool:
            outcome = self._again_alone(job)
        for waiting in self._jobs:
            if waiting.future.cancelled() or waiting.future.exception() is not None:
                self._start(waiting)
        return job.key, outcome

    def _start(self, job: _Job) -> None:
        if self.num_processes == 0:
            job.future = Future()
            job.future.set_result(run_job(job.function, *job.arguments))
            return
        if self._pool is None:
            # CUDA does not survive a fork, so spawn, as nnU-Net does.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.num_processes, mp_context=context, initializer=_end_with_parent)
        try:
            with unheard_interrupts():
                job.future = self._pool.submit(run_job, job.function, *job.arguments)
        except BrokenProcessPool as error:  # noticed late: this job is lost like those before it
            job.future = Future()
            job.future.set_exception(error)

    def _again_alone(self, job: _Job) -> Outcome:
        self._end_pool()
        self._start(job)
        try:
            return job.future.result()
        except BrokenProcessPool:
            self._end_pool()
            return Outcome(
                error="The background process died, twice; most likely the memory was used up. Use fewer processes "
                "(-npp, -nps, -np) or a machine with more memory."
            )

    def _kill_pool(self) -> None:
        """End the processes in the middle of their jobs, whose results nobody is going to ask for."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.kill()

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


_in_their_place: ContextVar[Callable[[], Workers] | None] = ContextVar("in_their_place", default=None)


@contextlib.contextmanager
def replaced_workers(make: Callable[[], Workers]) -> Iterator[None]:
    """Meanwhile, `new_workers` gives what ``make`` makes: jobs that know no other process may run on other machines."""
    token = _in_their_place.set(make)
    try:
        yield
    finally:
        _in_their_place.reset(token)


def new_workers(num_processes: int) -> Workers:
    """Background processes for independent jobs, which take absolute paths; or what `replaced_workers` says."""
    make = _in_their_place.get()
    return Workers(num_processes) if make is None else make()


def outcomes_in_order(workers: Workers, function: Callable, jobs: Sequence[Any]) -> Iterator[tuple[Any, Outcome]]:
    """Run a function on each of some jobs; each job and its outcome.

    Args:
        workers: What runs it.
        function: Of a job.
        jobs: All are submitted at once.
    """
    for job in jobs:
        workers.submit(job, function, job)
    while workers:
        yield workers.pop()


def are_replaced() -> bool:
    """Whether `new_workers` gives others than background processes of this machine."""
    return _in_their_place.get() is not None


class FatalError(HeteroError):
    """What is wrong with the place where jobs run, not with one of them: the others must not go on."""


def run_job(function: Callable, *arguments: Any) -> Outcome:
    """Do a job, here; an error becomes its outcome.

    Raises:
        FatalError: As the job raised it.
    """
    start = time.perf_counter()
    try:
        return Outcome(result=function(*arguments), seconds=time.perf_counter() - start)
    except FatalError:
        raise
    except Exception as error:  # the other cases go on
        return Outcome(error=in_words(error), seconds=time.perf_counter() - start)


def in_words(error: Exception) -> str:
    """An error as a reason for the user; one that is not meant for him also prints its traceback."""
    if isinstance(error, HeteroError):
        return str(error)
    if isinstance(error, OSError):
        return os_error_in_words(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that, after an exception, ends with the jobs that have begun; the others are given up."""
    pool = ThreadPoolExecutor(number)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this process when the one that started it does, even by SIGKILL; it would wait for jobs forever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_printable()
    parent = multiprocessing.parent_process()
    if parent is None:  # started by hand
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
