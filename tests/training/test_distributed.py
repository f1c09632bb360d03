"""Distributed training: ranks draw different subsets, and every rank ends with the same weights."""

from __future__ import annotations

import socket

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_network
from torch import distributed as dist
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

STEPS = [[(0,), (1, 3)], [(2, 3), (0,)], [(1,), ()]]
"""The subset of each rank, for every step; some encoders are used by one rank only, some by none."""


def _train(rank: int, touch: bool) -> dict:
    network = tiny_network(features=(4, 8), deep_supervision=True, seed=rank).train()
    network.touch_absent_encoders = touch
    parallel = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.01)
    torch.manual_seed(rank)
    for number, subsets in enumerate(STEPS):
        optimizer.zero_grad(set_to_none=True)
        x = random_images(1, seed=10 * number + rank)
        output = parallel(x, masks(subsets[rank]), full=True)
        parts = [*output.segmentation, output.completion, *(part for level in output.posterior for part in level)]
        sum(part.square().mean() for part in parts).backward()
        optimizer.step()
    return network.state_dict()


def _rank(rank: int, port: int, folder) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    results = {"start": tiny_network(features=(4, 8)).state_dict(), "touched": _train(rank, touch=True)}
    try:
        _train(rank, touch=False)
    except RuntimeError as error:
        results["error"] = str(error)
    torch.save(results, folder / f"{rank}.pth")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What the two ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_rank, args=(port, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


class TestDifferentSubsets:
    def test_ranks_end_with_the_same_weights(self, ranks):
        first, second = (results["touched"] for results in ranks)
        assert all(torch.equal(first[key], second[key]) for key in first)

    def test_every_part_learned(self, ranks):
        """Modality 2 was drawn by rank 0 only; its encoder moved on both."""
        start = ranks[0]["start"]
        for results in ranks:
            for part in ("encoders.0", "encoders.1", "encoders.2", "encoders.3", "decoder", "image_decoders.3"):
                names = [name for name in start if name.startswith(part)]
                assert any(not torch.equal(start[name], results["touched"][name]) for name in names), part

    def test_ddp_fails_without_touching_absent_encoders(self, ranks):
        assert all("Expected to have finished reduction" in results["error"] for results in ranks)
