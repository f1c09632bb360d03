"""Many independent jobs on the workers of a cluster, unequal ones balanced, and a worker's death survived.

A job is lost with its worker and done again by another one. A death counts against all jobs that the worker had; so
that no bystander is blamed, the last of a job's tries is made while no other job runs.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from typing import Any

from distributed import Client, Future, as_completed
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.processes import FatalError, Outcome, run_job

MOST_DEATHS = 3
"""A job that this many workers did not survive is left."""

IN_FLIGHT = 1000
"""Jobs that the scheduler knows at a time, however many there are: its memory does not grow with their number."""


class FanOut:
    """Runs jobs on a cluster and gives their outcomes as they come.

    Args:
        client: Of the cluster.
        name: What the jobs are called on the dashboard.
    """

    def __init__(self, client: Client, name: str):
        self.client = client
        self.group = f"{name}-{uuid.uuid4().hex}"
        self.deaths: Counter[Any] = Counter()
        self._numbers = itertools.count()

    def run(self, function: Callable, jobs: Mapping[Any, tuple]) -> Generator[tuple[Any, Outcome], None, None]:
        """Do all jobs.

        Args:
            function: What does one, on a worker. It may be called again for a job that was done or half done.
            jobs: Its arguments by the job's key. Function, arguments and results are sent.

        Yields:
            Key and outcome, in the order in which they are done. If this is closed, those that have not begun are
            given up.

        Raises:
            FatalError: As a job raised it.
            SettingsError: If the connection to the scheduler is lost, or a worker lacks the package.
        """
        waiting, suspects = deque(jobs), deque[Any]()
        running: dict[Future, Any] = {}
        completed = as_completed()
        try:
            while waiting or running or suspects:
                while waiting and len(running) < IN_FLIGHT:
                    self._start(waiting.popleft(), function, jobs, running, completed)
                alone = not running
                if alone:
                    self._start(suspects.popleft(), function, jobs, running, completed)
                future = next(completed)
                key = running.pop(future)
                outcome, deaths = self._outcome_of(future)
                self.deaths[key] += deaths
                if outcome is not None:
                    yield key, outcome
                elif alone:
                    yield key, Outcome(error=_reason(self.deaths[key]))
                else:
                    (waiting if self.deaths[key] < MOST_DEATHS - 1 else suspects).append(key)
        finally:
            self.client.cancel(list(running))

    def _start(
        self,
        key: Any,
        function: Callable,
        jobs: Mapping[Any, tuple],
        running: dict[Future, Any],
        completed: as_completed,
    ) -> None:
        number = next(self._numbers)
        future = self.client.submit(run_job, function, *jobs[key], key=(self.group, number), pure=False)
        running[future] = key
        completed.add(future)

    def _outcome_of(self, future: Future) -> tuple[Outcome | None, int]:
        """How a job ended, or how many workers died over it."""
        try:
            return future.result(), 0
        except KilledWorker as error:
            return None, error.allowed_failures + 1
        except FatalError:
            raise
        except (FutureCancelledError, CommClosedError) as error:
            raise SettingsError(
                "The scheduler of the cluster has gone. What was finished is there; run the same command again."
            ) from error
        except Exception as error:  # errors of the job itself are in its outcome
            words = " ".join(str(error).split())
            raise SettingsError(
                f"A worker cannot take the work: {type(error).__name__}: {words}. Install nnunet_hetero[cluster] in "
                "the environment of the workers, the same version as here."
            ) from error


def _reason(deaths: int) -> str:
    return (
        f"{deaths} workers died over it, the last one while nothing else ran; most likely it needs more memory than a "
        "worker has. Run it on a machine with more."
    )
