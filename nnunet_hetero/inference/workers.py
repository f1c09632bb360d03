"""Preprocessing of many cases in the background, a few ahead of the network; a bad case does not stop the others."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.cases import Case
from nnunet_hetero.inference.preprocessing import PreparedCase, prepare_case


def prepare_cases(
    cases: Sequence[Case], prepare_arguments: tuple, num_processes: int
) -> Iterator[tuple[Case, PreparedCase | DataError]]:
    """Read, check and preprocess cases, in their order.

    Args:
        cases: The cases.
        prepare_arguments: What `prepare_case` takes after the case.
        num_processes: Number of background processes; 0 works in this process. At most that many cases wait in memory.

    Yields:
        Each case with its input, or with the error that says what is wrong with it.
    """
    if num_processes == 0:
        for case in cases:
            yield case, _prepare_or_error(case, *prepare_arguments)
        return
    # CUDA does not survive a fork, so spawn, as nnU-Net does.
    pool = ProcessPoolExecutor(min(num_processes, len(cases)), mp_context=multiprocessing.get_context("spawn"))
    try:
        waiting = deque()
        for case in cases:
            waiting.append((case, pool.submit(_prepare_or_error, case, *prepare_arguments)))
            if len(waiting) > num_processes:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_or_error(case: Case, *prepare_arguments) -> PreparedCase | DataError:
    try:
        return prepare_case(case, *prepare_arguments)
    except DataError as error:
        return error
