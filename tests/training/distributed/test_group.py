"""The device of a process among several, and processes that were started together but would train alone."""

from __future__ import annotations

import os
import socket

import pytest
import torch

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.distributed.group import device_of_rank, joined, refuse_strangers, share_cores
from nnunet_hetero.training.distributed.launch import Launch

CUDA = torch.device("cuda")


@pytest.fixture
def gpus(monkeypatch):
    """Function that sets how many GPUs there are; and no launcher."""
    launch = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    for name in (*launch, "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)

    def set_count(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return set_count


def launched(monkeypatch, rank: int, count: int, local_rank: int) -> Ranks:
    for name, value in {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": local_rank}.items():
        monkeypatch.setenv(name, str(value))
    return Ranks(rank, count)


def test_a_gpu_per_number_on_the_node(gpus, monkeypatch):
    gpus(4)
    assert device_of_rank(CUDA, launched(monkeypatch, 5, 8, 1)) == torch.device("cuda", 1)


def test_each_process_sees_its_own_gpu_only(gpus, monkeypatch):
    gpus(1)
    assert device_of_rank(CUDA, launched(monkeypatch, 5, 8, 1)) == torch.device("cuda", 0)


def test_more_processes_than_gpus_are_refused(gpus, monkeypatch):
    gpus(2)
    with pytest.raises(SettingsError, match=r"number 3 on its node.* 2 GPU\(s\)"):
        device_of_rank(CUDA, launched(monkeypatch, 3, 8, 3))


def test_processes_of_one_torchrun_do_not_share_a_gpu(gpus, monkeypatch):
    gpus(1)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert device_of_rank(CUDA, launched(monkeypatch, 4, 8, 0)) == torch.device("cuda", 0)
    with pytest.raises(SettingsError, match=r"number 1 on its node.* 1 GPU\(s\)"):
        device_of_rank(CUDA, launched(monkeypatch, 5, 8, 1))


def test_processes_of_nnunet_itself(gpus, monkeypatch):
    """They inherit whatever a launcher has said to the one that started them."""
    gpus(4)
    assert device_of_rank(CUDA, Ranks(2, 3)) == torch.device("cuda", 2)
    launched(monkeypatch, 0, 1, 0)
    assert device_of_rank(CUDA, Ranks(2, 3)) == torch.device("cuda", 2)


def test_without_a_gpu_it_is_as_asked(gpus):
    gpus(0)
    assert device_of_rank(torch.device("cpu"), Ranks(1, 2)) == torch.device("cpu")


def test_cores_are_shared(gpus, monkeypatch):
    found = []
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    share_cores(Ranks(0, 8))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    share_cores(Ranks(0, 8))
    assert found == [2, 4]


def test_strangers(gpus, monkeypatch):
    refuse_strangers()
    launched(monkeypatch, 1, 2, 1)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(SettingsError, match=r"number 1 of 2 .*torchrun .* -m nnunet_hetero train"):
        refuse_strangers()


def test_other_devices_are_refused():
    with pytest.raises(SettingsError, match="cuda or cpu"), joined(Launch(0, 2, 0, "127.0.0.1", 1), "mps"):
        pass


def test_a_group_that_cannot_be_joined_is_said_in_words(gpus, monkeypatch):
    def fail(url):
        raise RuntimeError("connection refused")

    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "")  # is put back after the test
    monkeypatch.setattr("nnunet_hetero.training.distributed.group.rendezvous", fail)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [])
    launch = Launch(1, 2, 0, "node1", 29500)
    with (
        pytest.raises(SettingsError, match=r"Rank 1 .* node1:29500: connection refused.*IFNAME"),
        joined(launch, "cpu"),
    ):
        pass


@pytest.mark.parametrize("address", ["nowhere", "a..b", "x" * 70], ids=["unknown", "empty", "long"])
def test_a_first_node_that_there_is_not_is_said_at_once(gpus, monkeypatch, address):
    if address == "nowhere":

        def fail(*_):
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(SettingsError, match="finds no host of that name"), joined(Launch(1, 2, 0, address, 1), "cpu"):
        pass
    assert "MASTER_ADDR" not in os.environ
