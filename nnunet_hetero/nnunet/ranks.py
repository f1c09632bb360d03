"""The processes of a distributed training. Only this module knows how they are counted.

nnU-Net's ``local_rank`` counts within one machine in versions to come, so it is not asked.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from nnunetv2.training.logging import nnunet_logger
from nnunetv2.training.logging.nnunet_logger import MetaLogger, WandbLogger
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nnunet_hetero.errors import SettingsError

Value = TypeVar("Value")

STILL_AT_IT = 10.0
"""Seconds between two words of the first rank to those that wait for it. NCCL gives a call up after ten minutes."""


@dataclass(frozen=True)
class Ranks:
    """All processes of a training, over all machines, and which of them this is.

    Args:
        number: That of this process, from 0.
        count: How many there are.
    """

    number: int = 0
    count: int = 1

    @classmethod
    def of_this_process(cls) -> Ranks:
        """As torch's process group has them; a process that is in none is alone."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.number == 0

    def gather(self, values: list[Value]) -> list[Value]:
        """The values of all ranks together, in the ranks' order; every rank must call it."""
        if self.count == 1:
            return values
        gathered: list[list[Value]] = [[] for _ in range(self.count)]
        distributed.all_gather_object(gathered, values)
        return list(itertools.chain.from_iterable(gathered))

    def any(self, value: bool) -> bool:
        """Whether it is true on any rank; every rank must call it. It costs as much as the smallest message."""
        if self.count == 1:
            return value
        # NCCL knows tensors of GPUs only.
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        found = torch.tensor(int(value), device=device)
        distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
        return bool(found.item())

    def first_before_others(self, work: Callable[[], Value]) -> Value:
        """Let the first rank do some work before the others do it; every rank must call it.

        The first may take hours: a single collective call, in which the others wait, would be given up by NCCL.

        Args:
            work: Of the host alone; the first does it in another thread. If it fails there, the others go on.
        """
        if self.count == 1:
            return work()
        if not self.is_first:
            while self.any(False):
                pass
            return work()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(work)
            while self.any(not _is_done(running)):
                pass
        return running.result()

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give all ranks the first one's values, in place; every rank must call it.

        Args:
            tensors: As many on each rank, none of which requires a gradient.
        """
        if self.count > 1:
            for tensor in tensors:
                dense = tensor.contiguous()  # NCCL takes nothing else
                distributed.broadcast(dense, src=0)
                if dense is not tensor:
                    tensor.copy_(dense)


def _is_done(work: Future) -> bool:
    """Whether it is, or will be within `STILL_AT_IT`."""
    return bool(wait([work], timeout=STILL_AT_IT).done)


@contextlib.contextmanager
def networks_wrapped_for(device: torch.device) -> Iterator[None]:
    """Let nnU-Net's trainer, meanwhile, distribute networks that are on this device.

    nnU-Net's takes the number of the process for that of its GPU. Buffers are not sent around: ours are the same
    everywhere, and ranks that validate another number of cases would wait for each other.
    """
    original = nnunet.DDP

    def wrap(network: nn.Module, device_ids: object = None) -> DistributedDataParallel:
        devices = [device] if device.type == "cuda" else None
        buffers: dict[str, Any] = {"broadcast_buffers": False} if any(True for _ in network.buffers()) else {}
        return DistributedDataParallel(network, device_ids=devices, **buffers)

    nnunet.DDP = wrap
    try:
        yield
    finally:
        nnunet.DDP = original


@contextlib.contextmanager
def logged_by_first(ranks: Ranks, run: type[WandbLogger]) -> Iterator[None]:
    """Let nnU-Net's trainer, meanwhile, begin a run of Weights & Biases on the first rank alone.

    nnU-Net begins one on each rank, and a rank that comes later removes the folder of those before.

    Args:
        ranks: All processes.
        run: What begins it.

    Raises:
        SettingsError: Within, if nnU-Net's variable is neither 0 nor 1.
    """
    is_enabled, original = MetaLogger._is_logger_enabled, nnunet_logger.WandbLogger

    def is_wanted(logger: MetaLogger, variable: str) -> bool:
        try:
            return is_enabled(logger, variable) and ranks.is_first
        except RuntimeError as error:
            raise SettingsError(
                f"The environment variable {variable} is '{os.environ.get(variable)}'. Set it to 1 (on) or 0 (off)."
            ) from error

    MetaLogger._is_logger_enabled = is_wanted
    nnunet_logger.WandbLogger = run
    try:
        yield
    finally:
        MetaLogger._is_logger_enabled, nnunet_logger.WandbLogger = is_enabled, original
