"""Time and memory of calls that take turns, for the benchmarks of training steps and of predictions."""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.profiler import ProfilerActivity, profile


def seconds(call: Callable[[], object], device: str) -> tuple[float, float]:
    """Wall-clock and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(calls: Mapping[str, Callable[[], object]], repeats: int, device: str) -> dict[str, tuple[float, float]]:
    """Median wall-clock and processor seconds of each call; they take turns, after one call each to warm up."""
    for call in calls.values():
        call()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(seconds(call, device))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in times.items()
    }


def peak_bytes(call: Callable[[], object], network: nn.Module, device: str, optimizer: Optimizer | None = None) -> int:
    """Peak bytes that torch holds in a call, the network's weights and the optimiser's state among them.

    Args:
        call: Called twice; the second time counts. Gradients of the call before must be dropped first.
        network: Whose weights stand before the call.
        device: ``cpu`` or ``cuda``.
        optimizer: Whose state stands before the call, if there is one.
    """
    call()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        call()
        return torch.cuda.max_memory_allocated()
    held = _bytes_of(network, optimizer)
    # The CPU's allocator keeps no peak; the profiler records what it gives from here on and takes back of that.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return held + max(itertools.accumulate(sizes), default=0)


def _bytes_of(network: nn.Module, optimizer: Optimizer | None) -> int:
    tensors = list(network.parameters())
    if optimizer is not None:
        tensors += [value for state in optimizer.state.values() for value in state.values()]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function that runs in a process of its own, where nothing else holds memory.

    Raises:
        RuntimeError: If that process ends without a result; what went wrong stands on stderr.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(sender, function, arguments))
    process.start()
    sender.close()  # else a process that dies would be waited for without end
    try:
        return receiver.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__} ended without a result in its own process, see above.") from None
    finally:
        process.join()


def _send_result(sender, function: Callable[..., Any], arguments: tuple) -> None:
    sender.send(function(*arguments))
