"""A store in which only the processes of this attempt write, whatever an attempt before has left in it.

torchrun keeps one store for all attempts (torch.distributed.elastic, ``DynamicRendezvousHandler``: the store is made at
the first rendezvous). Started anew after a death, processes find the addresses of dead ones there, and those that come
first try to connect to them, until all attempts are used up. Nor is there a number of the attempt that all nodes agree
on: torchrun counts by node, and only where a process has died. So they meet before anything else is read.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from torch.distributed import PrefixStore, Store

PAUSE = 0.05
"""Seconds between two looks at the store."""


def store_of_attempt(store: Store, rank: int, count: int, timeout: timedelta) -> PrefixStore:
    """Wait until all processes are there.

    Each writes a word by chance. The first puts all words together to the name of the attempt, again and again, since
    words may be those of dead processes; each says when its own word is in it; and when all have said so of one and the
    same name, the first says go.

    Args:
        store: All can reach it.
        rank: Of this process.
        count: Of all.
        timeout: How long to wait.

    Returns:
        A part of the store that is new, the same for all.

    Raises:
        RuntimeError: If some are not there in time, with their ranks as far as this process knows.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    word = secrets.token_hex(8)
    store.set(f"word/{rank}", word)
    others, attempt = range(1, count), ""
    while time.monotonic() < deadline:
        if rank == 0:
            attempt = " ".join(_read(store, f"word/{number}") for number in range(count))
            store.set("attempt", attempt)
            if all(_read(store, f"seen/{number}") == attempt for number in others):
                store.set("go", attempt)
                return PrefixStore(attempt, store)
        else:
            attempt = _read(store, "attempt")
            if word in attempt.split(" "):
                store.set(f"seen/{rank}", attempt)
                if _read(store, "go") == attempt:
                    return PrefixStore(attempt, store)
        time.sleep(PAUSE)
    missing = [number for number in others if rank == 0 and _read(store, f"seen/{number}") != attempt]
    raise RuntimeError(f"waited {timeout.total_seconds():.0f} s for {_named(missing)}")


def _read(store: Store, key: str) -> str:
    return store.get(key).decode("ascii") if store.check([key]) else "-"


def _named(missing: list[int]) -> str:
    return f"rank {', '.join(map(str, missing))}" if missing else "the others"
