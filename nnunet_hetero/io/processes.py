"""Background processes for many cases, in order; one case that fails or kills its process does not stop the others."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from nnunet_hetero.errors import HeteroError


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
    future: Future | None = None


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

    def __exit__(self, *_exception) -> None:
        self._jobs.clear()
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
            job.future.set_result(_run(job.function, *job.arguments))
            return
        if self._pool is None:
            # CUDA does not survive a fork, so spawn, as nnU-Net does.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.num_processes, mp_context=context, initializer=_end_with_parent)
        try:
            job.future = self._pool.submit(_run, job.function, *job.arguments)
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
                "(-npp, -nps) or a machine with more memory."
            )

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _run(function: Callable, *arguments: Any) -> Outcome:
    start = time.perf_counter()
    try:
        return Outcome(result=function(*arguments), seconds=time.perf_counter() - start)
    except Exception as error:  # the other cases go on
        return Outcome(error=in_words(error), seconds=time.perf_counter() - start)


def in_words(error: Exception) -> str:
    """An error as a reason for the user; one that is not meant for him also prints its traceback."""
    if isinstance(error, HeteroError):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    """End this process when the one that started it does, even by SIGKILL; it would wait for jobs forever."""
    parent = multiprocessing.parent_process()

    def watch():
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
