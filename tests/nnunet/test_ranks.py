"""The processes of a training: alone, and two of them."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.training.logging import nnunet_logger
from torch import distributed, multiprocessing

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks, logged_by_first


def test_a_process_that_is_in_no_group_is_alone():
    ranks = Ranks.of_this_process()
    assert ranks == Ranks(0, 1) and ranks.is_first
    values = [1, 2]
    assert ranks.gather(values) is values
    assert ranks.first_before_others(lambda: 3) == 3
    ranks.share(iter([torch.ones(2)]))


class Told(Ranks):
    """Ranks whose first says so many times that it is still at it, and what this one has said."""

    def any(self, value):
        self.__dict__.setdefault("said", []).append(value)
        return value if self.is_first else len(self.said) < 4


def test_the_first_says_again_and_again_that_it_is_at_work(monkeypatch):
    """So no call, in which the others wait, takes longer than a moment."""
    monkeypatch.setattr("nnunet_hetero.nnunet.ranks.STILL_AT_IT", 0.001)
    ranks = Told(0, 2)

    def work():
        while len(ranks.__dict__.get("said", [])) < 3:
            pass
        return "done"

    assert ranks.first_before_others(work) == "done"
    assert len(ranks.said) > 3 and all(ranks.said[:-1]) and ranks.said[-1] is False


def test_the_others_begin_when_it_is_done():
    ranks = Told(1, 2)
    assert ranks.first_before_others(lambda: len(ranks.said)) == 4


def rank(number: int, port: int, folder: Path) -> None:
    """What one of two processes finds."""
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=number, world_size=2)
    ranks = Ranks.of_this_process()
    found = {"ranks": (ranks.number, ranks.count), "first": ranks.is_first, "gathered": ranks.gather([number] * 2)}

    def come_by() -> bool:
        been = (folder / "been").exists()
        (folder / "been").touch()
        return been

    def fail_first() -> None:
        if ranks.is_first:
            raise OSError("no file")

    found["others_came_before"] = ranks.first_before_others(come_by)
    try:
        ranks.first_before_others(fail_first)
    except OSError:
        found["failed"] = True
    found["shared"] = torch.full((3,), float(number + 5))
    ranks.share([found["shared"]])
    torch.save(found, folder / f"{number}.pth")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.start_processes(rank, args=(port, folder), nprocs=2, start_method="fork")
    return [torch.load(folder / f"{number}.pth", weights_only=True) for number in range(2)]


def test_numbers_and_values_of_all(found):
    assert [entry["ranks"] for entry in found] == [(0, 2), (1, 2)]
    assert [entry["first"] for entry in found] == [True, False]
    assert [entry["gathered"] for entry in found] == [[0, 0, 1, 1]] * 2
    assert all(torch.equal(entry["shared"], torch.full((3,), 5.0)) for entry in found)


def test_the_first_goes_before_the_others_and_they_go_on_if_it_fails(found):
    assert [entry["others_came_before"] for entry in found] == [False, True]
    assert "failed" in found[0] and "failed" not in found[1]


def test_one_run_of_weights_and_biases_for_all_ranks(tmp_path, monkeypatch):
    begun = []

    def init(**_):
        begun.append((tmp_path / "wandb").mkdir())
        return SimpleNamespace(config={}, step=0)

    monkeypatch.setattr(nnunet_logger, "wandb", SimpleNamespace(init=init))
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    for number in range(3):
        with logged_by_first(Ranks(number, 3), nnunet_logger.WandbLogger):
            logger = nnunet_logger.MetaLogger(str(tmp_path), False)
        assert len(logger.loggers) == (number == 0)
    assert len(begun) == 1 and (tmp_path / "wandb").is_dir()
    with (
        logged_by_first(Ranks(1, 2), nnunet_logger.WandbLogger),
        pytest.raises(SettingsError, match="nnUNet_wandb_enabled is 'yes'"),
    ):
        monkeypatch.setenv("nnUNet_wandb_enabled", "yes")
        nnunet_logger.MetaLogger(str(tmp_path), False)
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    assert len(nnunet_logger.MetaLogger(str(tmp_path), False).loggers) == 1  # as ever
