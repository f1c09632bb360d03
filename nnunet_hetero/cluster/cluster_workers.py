"""A cluster in the place of background processes, see `nnunet_hetero.io.processes.Workers`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from distributed import Client

from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.io.processes import Outcome, Workers


class ClusterWorkers(Workers):
    """Runs jobs on a cluster and gives their outcomes in the order of submission.

    All jobs are to be submitted before the first outcome is asked for. Paths in them must be absolute.

    Args:
        client: Of the cluster.
        name: What the jobs are called on the dashboard.
    """

    def __init__(self, client: Client, name: str):
        super().__init__(sys.maxsize // 4)  # as many as there are may wait
        self._client = client
        self._name = name
        self._submitted: deque[tuple[int, Any, Callable, tuple]] = deque()
        self._done: dict[int, Outcome] = {}
        self._outcomes: Any = None

    def __len__(self) -> int:
        return len(self._submitted)

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        self._submitted.clear()
        if self._outcomes is not None:
            self._outcomes.close()

    def submit(self, key: Any, function: Callable, *arguments: Any) -> None:
        """See `Workers`."""
        if self._outcomes is not None:
            raise RuntimeError("jobs are submitted after the first outcome was asked for")
        self._submitted.append((len(self._submitted), key, function, arguments))

    def oldest_is_done(self) -> bool:
        """See `Workers`."""
        return bool(self._submitted) and self._submitted[0][0] in self._done

    def pop(self) -> tuple[Any, Outcome]:
        """See `Workers`."""
        if self._outcomes is None:
            jobs = {number: (function, *arguments) for number, _, function, arguments in self._submitted}
            self._outcomes = FanOut(self._client, self._name).run(_call, jobs)
        number, key, *_ = self._submitted.popleft()
        while number not in self._done:
            other, outcome = next(self._outcomes)
            self._done[other] = outcome
        return key, self._done.pop(number)


def _call(function: Callable, *arguments: Any) -> Any:
    return function(*arguments)
