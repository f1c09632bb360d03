"""Processes of one attempt meet in a store that has everything of an attempt before."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from torch.distributed import HashStore, PrefixStore

from nnunet_hetero.training.distributed.meeting import store_of_attempt

COUNT = 3
LATE = 0.4


def meet(store: HashStore, late: int | None = None) -> list[PrefixStore]:
    """All ranks in threads, one of them later; what each is given, once it has said which rank it is in it."""
    found: list[PrefixStore | None] = [None] * COUNT
    came: list[float] = [0.0] * COUNT
    begun = time.monotonic()

    def act(rank: int) -> None:
        if rank == late:
            time.sleep(LATE)
        found[rank] = store_of_attempt(store, rank, COUNT, timedelta(seconds=20))
        came[rank] = time.monotonic() - begun
        found[rank].set(str(rank), f"{begun} {rank}")

    threads = [threading.Thread(target=act, args=(rank,)) for rank in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if late is not None:
        assert min(came) >= LATE, "somebody went on without the one that came late"
    for given in found:
        assert [given.get(str(rank)).decode() for rank in range(COUNT)] == [f"{begun} {rank}" for rank in range(COUNT)]
    return found


@pytest.mark.parametrize("late", range(COUNT))
def test_each_attempt_has_a_store_of_its_own(late):
    store = HashStore()
    first = meet(store)
    second = meet(store, late)
    for given in second:
        assert not given.check(["of the first"])
    first[0].set("of the first", "")
    assert first[1].check(["of the first"]) and not second[1].check(["of the first"])


def test_an_attempt_that_died_while_meeting_is_forgotten():
    store = HashStore()
    with pytest.raises(RuntimeError, match=r"waited 0 s for rank 1, 2"):
        store_of_attempt(store, 0, COUNT, timedelta(seconds=0.2))
    with pytest.raises(RuntimeError, match="waited 0 s for the others"):
        store_of_attempt(store, 2, COUNT, timedelta(seconds=0.2))
    meet(store, late=1)
