"""The processes of a training: alone, and two of them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from nnunet_hetero.nnunet.ranks import Ranks


def test_a_process_that_is_in_no_group_is_alone():
    ranks = Ranks.of_this_process()
    assert ranks == Ranks(0, 1) and ranks.is_first
    values = [1, 2]
    assert ranks.gather(values) is values
    with ranks.first_before_others():
        pass


def rank(number: int, port: int, folder: Path) -> None:
    """What one of two processes finds."""
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=number, world_size=2)
    ranks = Ranks.of_this_process()
    found = {"ranks": (ranks.number, ranks.count), "first": ranks.is_first, "gathered": ranks.gather([number] * 2)}
    with ranks.first_before_others():
        found["others_came_before"] = (folder / "been").exists()
        (folder / "been").touch()
    try:
        with ranks.first_before_others():
            if ranks.is_first:
                raise OSError("no file")
    except OSError:
        found["failed"] = True
    torch.save(found, folder / f"{number}.pth")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(rank, args=(port, folder), nprocs=2)
    return [torch.load(folder / f"{number}.pth", weights_only=True) for number in range(2)]


def test_numbers_and_values_of_all(found):
    assert [entry["ranks"] for entry in found] == [(0, 2), (1, 2)]
    assert [entry["first"] for entry in found] == [True, False]
    assert [entry["gathered"] for entry in found] == [[0, 0, 1, 1]] * 2


def test_the_first_goes_before_the_others_and_they_go_on_if_it_fails(found):
    assert [entry["others_came_before"] for entry in found] == [False, True]
    assert "failed" in found[0] and "failed" not in found[1]
