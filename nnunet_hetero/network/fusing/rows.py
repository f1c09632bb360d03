"""Which samples of a batch have a modality: decided once, on the host, so that a GPU is never waited for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Some samples of a batch.

    Args:
        numbers: Their numbers, ascending, on the host.
        index: The same for tensors ``(B, ...)``: a slice where they are consecutive, as all samples are and a single
            one is, else ``(n,)`` int64 on the tensors' device. A slice needs no copy to the device and no gathering.
    """

    numbers: tuple[int, ...]
    index: slice | Tensor

    @classmethod
    def of(cls, numbers: Sequence[int], device: torch.device | str = "cpu") -> Rows:
        """Rows by number, ascending; see `rows_by_modality` for those of many modalities."""
        run = _run(numbers)
        return cls(tuple(numbers), torch.tensor(list(numbers), device=device) if run is None else run)

    def __len__(self) -> int:
        return len(self.numbers)

    def among(self, others: Rows, device: torch.device | str) -> Rows:
        """Their places among others, in which they all are."""
        return Rows.of([others.numbers.index(number) for number in self.numbers], device)

    def as_tensor(self, device: torch.device | str) -> Tensor:
        """Their numbers, ``(n,)`` int64."""
        if isinstance(self.index, slice):
            return torch.arange(self.index.start, self.index.stop, device=device)
        return self.index

    def pick(self, tensor: Tensor) -> Tensor:
        """What a tensor ``(B, ...)`` has of them, ``(n, ...)``; a view where they are consecutive."""
        return tensor[self.index]


def rows_by_modality(available: Sequence[Sequence[bool]], device: torch.device | str) -> list[Rows]:
    """The samples that have each modality, with one copy to the device at most.

    Args:
        available: ``B`` times ``M``, on the host.
        device: Where the tensors are that are indexed.
    """
    numbers = [_true_places(column) for column in zip(*available, strict=True)]
    runs = [_run(one) for one in numbers]
    scattered = [one for one, run in zip(numbers, runs, strict=True) if run is None]
    indices: Iterator[Tensor] = iter(())
    if scattered:
        together = torch.tensor(list(chain(*scattered)), dtype=torch.int64).to(device, non_blocking=True)
        indices = iter(together.split([len(one) for one in scattered]))
    return [Rows(one, run or next(indices)) for one, run in zip(numbers, runs, strict=True)]


def _true_places(flags: Sequence[bool]) -> tuple[int, ...]:
    return tuple(place for place, flag in enumerate(flags) if flag)


def _run(numbers: Sequence[int]) -> slice | None:
    """The slice that picks them, None if there is none."""
    if not numbers:
        return slice(0, 0)
    consecutive = numbers[-1] - numbers[0] == len(numbers) - 1
    return slice(numbers[0], numbers[-1] + 1) if consecutive else None
