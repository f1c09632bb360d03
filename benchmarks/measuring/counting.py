"""Memory, bytes moved, arithmetic and kernels of a call, counted on fake tensors: full size, without a GPU, in seconds.

Fake tensors have shapes and types and no data. What torch would compute with them is told operation by operation, so
that the storages that are alive at once, what each operation reads and writes, and its multiplications can be added up.
Fake tensors of a GPU have no backward pass on a machine without one; so the tensors claim to be on a CPU, with the
CPU's autocast in float16, and what our layers do differently on a CPU is switched off.

What is not counted: the workspace of convolutions, the fragmentation of the allocator, what torch holds by itself.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from nnunet_hetero.network.fusing.fusible import Fusible

FREE = {
    *(f"aten::{name}" for name in ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided")),
    "aten::_unsafe_view",
    "prim::device",
}
"""Operations that start no kernel, beside views."""


@dataclass
class Counts:
    """What a call takes.

    Args:
        peak_bytes: The most that tensors hold at once, those that stood before the call among them.
        moved_bytes: What all operations read and write.
        operations: Multiply-add operations times two.
        kernels: Operations that are no views.
        atomic_kernels: Those of them that add to indexed places.
        by_phase: ``moved_bytes`` by what was told to `Counter.phase`.
    """

    peak_bytes: int = 0
    moved_bytes: int = 0
    operations: int = 0
    kernels: int = 0
    atomic_kernels: int = 0
    by_phase: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Counter(TorchDispatchMode):
    """Counts what is computed while it is entered.

    Args:
        standing: Tensors that are there before, such as weights.
    """

    def __init__(self, standing: Iterable[Tensor] = ()):
        super().__init__()
        self.counts = Counts()
        self.phase = "all"
        self._alive: dict[int, int] = {}
        self._now = 0
        for tensor in standing:
            self._hold(tensor)

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        """Compute as always, and count."""
        keywords = keywords or {}
        result = function(*arguments, **keywords)
        outputs = _tensors(result)
        for output in outputs:
            self._hold(output)
        if not function.is_view and function._schema.name not in FREE:
            self._count(function, arguments, keywords, result, outputs)
        return result

    def _count(self, function, arguments, keywords, result, outputs: list[Tensor]) -> None:
        moved = sum(_bytes_of(one) for one in [*_tensors((arguments, keywords)), *outputs])
        self.counts.moved_bytes += moved
        self.counts.by_phase[self.phase] += moved
        self.counts.kernels += 1
        self.counts.atomic_kernels += "index_add" in function._schema.name or "index_put" in function._schema.name
        arithmetic = flop_registry.get(function._overloadpacket)
        if arithmetic is not None:
            self.counts.operations += arithmetic(*arguments, **keywords, out_val=result)

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        self._alive[key] = storage.nbytes()
        self._now += storage.nbytes()
        self.counts.peak_bytes = max(self.counts.peak_bytes, self._now)
        weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self._now -= self._alive.pop(key, 0)

    @contextlib.contextmanager
    def one_kernel(self, arguments, into=()) -> Iterator[Callable]:
        """Within, what is computed counts as one kernel; tell it the result, which it returns.

        Args:
            arguments: What the kernel reads; what it writes into among them is counted twice.
            into: What it writes and does not read.
        """
        before = replace(self.counts, by_phase=defaultdict(int, self.counts.by_phase))
        versions = [one._version for one in _tensors(arguments)]

        def tell(result):
            written = [one for one, old in zip(_tensors(arguments), versions, strict=True) if one._version != old]
            moved = sum(_bytes_of(one) for one in _tensors((arguments, written, into, result)))
            self.counts = replace(before, peak_bytes=self.counts.peak_bytes)
            self.counts.moved_bytes += moved
            self.counts.by_phase[self.phase] += moved
            self.counts.kernels += 1
            return result

        yield tell

    def restart(self) -> None:
        """Forget what was counted; what is alive stays."""
        self.counts = Counts(peak_bytes=self._now)


def _tensors(tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes_of(tensor: Tensor) -> int:
    """Of what a kernel reads or writes; an expanded tensor is as small as what it repeats."""
    return min(tensor.numel() * tensor.itemsize, tensor.untyped_storage().nbytes())


@contextlib.contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Everything within is fake, and our layers run as they would on a GPU."""
    with FakeTensorMode(allow_non_fake_inputs=True), patch("nnunet_hetero.network.fast_cpu.on_cpu", lambda x: False):
        yield


def mixed_precision(dtype: torch.dtype | None, device: str = "cpu") -> torch.autocast:
    """Autocast to a type; None leaves all in float32."""
    return torch.autocast(device, dtype=dtype or torch.float16, enabled=dtype is not None)


@contextlib.contextmanager
def counted_as_kernels() -> Iterator[None]:
    """What torch.compile makes one kernel of is counted as one, which reads its arguments and writes what it gives."""
    call = Fusible.__call__

    def call_as_kernel(fusible: Fusible, *arguments):
        counter = _innermost()
        if counter is None:
            return call(fusible, *arguments)
        room = 1 if fusible.writes_first else 0
        with counter.one_kernel(arguments[room:], arguments[:room]) as tell:
            return tell(call(fusible, *arguments))

    with patch.object(Fusible, "__call__", call_as_kernel):
        yield


def _innermost() -> Counter | None:
    entered = [mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, Counter)]
    return entered[-1] if entered else None
