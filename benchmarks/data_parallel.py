"""What does it cost to share a batch among processes? Measured with two on this machine, extrapolated to many GPUs:

    python benchmarks/data_parallel.py [--steps 12] [--features 16 32] [--patch 32] [--batch 4] [--limit 0.9]

Measured: steps per second of one process and of two, one thread each, with the same network, the same batch in all and
Gloo on 127.0.0.1, and the bytes of gradients that go into the exchange in a step. The efficiency is the rate of two
over twice that of one. The machine needs two idle cores for that; the runs alternate, and the median step counts. Two
processes that exchange nothing, each with its share of the batch, say what the machine itself allows: cores share
memory and heat, and small batches cost more by sample. Where others are at work, the processor time says more: that of
one process over that of two together, in which waiting for each other does not count.

Extrapolated: the time of a step on n GPUs of which each has its own share of a batch that grows with n,

    t(n) = max(compute, (1 - overlap) * compute + exchange)
    exchange = 2 (n - 1) / n * bytes / bandwidth + 2 (n - 1) * latency

as in a ring all-reduce, of which a part (overlap) hides behind the backward pass. Bytes are those of the full-size
network's gradients in float32; compute, bandwidth, latency and overlap are assumptions, and stand above the table.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # before torch is imported

import torch
from measuring.full_size import architecture, our_network
from torch import distributed, multiprocessing
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

MODALITIES = 4
GPUS = (8, 16, 32, 64)
COMPUTE, LATENCY, OVERLAPS = 0.5, 20e-6, (0.0, 0.5)
"""Seconds of a full-size step on one GPU, of a message, and shares of a step behind which the exchange can hide."""

ONE, APART, TOGETHER = "one process", "two that exchange nothing", "two"
PROCESSES = {ONE: 1, APART: 2, TOGETHER: 2}

BANDWIDTHS = {"10 Gbit/s Ethernet": 1.25e9, "100 Gbit/s": 12.5e9, "400 Gbit/s": 50e9}
"""Bytes per second between nodes, which are slower than those within one."""


def worker(rank: int, count: int, port: int | None, args: argparse.Namespace, folder: Path) -> None:
    """Take steps with a share of the batch, and report the seconds of each, of the processor, and the bytes of one.

    Args:
        rank: Of this process.
        count: Of processes.
        port: Where they meet; None: they exchange nothing.
        args: The command line's.
        folder: For the report.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = our_network(MODALITIES, architecture(features=args.features, patch=[args.patch] * 3)).train()
    network.touch_absent_encoders = True
    exchanged = 0
    if port is not None:
        distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count)
        network = DistributedDataParallel(network)

        def counting(state, bucket):  # torch reads annotations, and takes none that are texts
            nonlocal exchanged
            exchanged += bucket.buffer().nbytes
            return allreduce_hook(None, bucket)  # type: ignore[arg-type]  # the default group

        network.register_comm_hook(None, counting)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    data = torch.randn(args.batch // count, MODALITIES, *[args.patch] * 3)
    available = torch.ones(len(data), MODALITIES, dtype=torch.bool)
    seconds, processor = [], []
    for _ in range(args.steps + 2):
        begin, begin_processor = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        output = network(data, available, full=True)
        parts = [*output.segmentation, output.completion, *(part for level in output.posterior for part in level)]
        torch.stack([part.square().mean() for part in parts]).sum().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
        processor.append(time.process_time() - begin_processor)
    found = [seconds[2:], processor[2:], exchanged // len(seconds)]
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="ascii")
    if port is not None:
        distributed.destroy_process_group()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def measure(kind: str, args: argparse.Namespace) -> tuple[list[float], list[float], int]:
    """Seconds of steps, processor seconds of all ranks in them, and bytes of gradients in one."""
    count = PROCESSES[kind]
    port = free_port() if kind == TOGETHER else None
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(worker, args=(count, port, args, Path(folder)), nprocs=count)
        ranks = [json.loads((Path(folder) / f"{rank}.json").read_text(encoding="ascii")) for rank in range(count)]
    together = [sum(of_ranks) for of_ranks in zip(*(processor for _, processor, _ in ranks), strict=True)]
    return ranks[0][0], together, ranks[0][2]


def step_seconds(gpus: int, gradient_bytes: float, bandwidth: float, overlap: float) -> float:
    """The model of a step, see above.

    Args:
        gpus: n.
        gradient_bytes: Of all gradients.
        bandwidth: Bytes per second.
        overlap: Share of the computing behind which the exchange can hide.
    """
    exchange = 2 * (gpus - 1) / gpus * gradient_bytes / bandwidth + 2 * (gpus - 1) * LATENCY
    return max(COMPUTE, (1 - overlap) * COMPUTE + exchange)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, extrapolate, print; 1 if the efficiency is below the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2, help="how often both are measured (default: %(default)s)")
    parser.add_argument("--features", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4, help="of all processes together, even (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=0.9, help="least efficiency (default: %(default)s)")
    args = parser.parse_args(argv)
    seconds: dict[str, list[float]] = {kind: [] for kind in PROCESSES}
    processor: dict[str, list[float]] = {kind: [] for kind in PROCESSES}
    exchanged = 0
    for _ in range(args.rounds):
        for kind in PROCESSES:
            found, of_processor, exchanged = measure(kind, args)
            seconds[kind] += found
            processor[kind] += of_processor
    wall, cpu = ({kind: statistics.median(own) for kind, own in clock.items()} for clock in (seconds, processor))
    efficiency = wall[ONE] / (2 * wall[TOGETHER])
    print(f"{'':28}{'steps/s':>9}{'of twice one':>14}{'cpu s/step':>12}{'one / it':>10}")
    for kind, count in PROCESSES.items():
        share, of_processor = wall[ONE] / (count * wall[kind]), cpu[ONE] / cpu[kind]
        print(f"{kind:28}{1 / wall[kind]:>9.3f}{share:>14.2f}{cpu[kind]:>12.3f}{of_processor:>10.2f}")
    print(f"efficiency: {efficiency:.2f} (at least {args.limit}); {exchanged / 2**20:.2f} MiB of gradients per step\n")

    with torch.device("meta"):
        full = our_network(MODALITIES, architecture())
    gradient_bytes = 4 * sum(parameter.numel() for parameter in full.parameters())
    print(
        f"Full-size network: {gradient_bytes / 2**20:.0f} MiB of gradients. Assumed: {COMPUTE} s of computing per "
        f"step, {1e6 * LATENCY:.0f} us per message, ring all-reduce."
    )
    print(f"{'efficiency with':<38}" + "".join(f"{gpus:>6} GPUs" for gpus in GPUS))
    for overlap in OVERLAPS:
        for name, bandwidth in BANDWIDTHS.items():
            shares = (COMPUTE / step_seconds(gpus, gradient_bytes, bandwidth, overlap) for gpus in GPUS)
            print(f"{f'{name}, overlap {overlap:.0%}':<38}" + "".join(f"{share:>11.2f}" for share in shares))
    return int(efficiency < args.limit)


if __name__ == "__main__":
    sys.exit(main())
