"""Distributed training: ranks draw different subsets, and every rank ends with the same weights."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_network
from torch import distributed as dist
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

STEPS = [[(0,), (1, 3)], [(2, 3), (0,)], [(1,), ()]]
"""The subset of each rank, for every step; some encoders are used by one rank only, some by none."""


def _train_network(rank: int, touch: bool) -> dict:
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


def _train(rank: int, plans: dict, dataset_json: dict) -> dict:
    """A short training by the trainer, on this rank."""
    from nnunetv2.training.logging import nnunet_logger
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

    from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

    class OnProcessors(HeteroModalVAETrainer):
        """nnU-Net distributes over GPUs only: wherever there are several processes, it asks for GPUs."""

        device = property(lambda self: torch.device("cpu"), lambda self, device: None)

        def train_step(self, batch: dict) -> dict:
            """On the second rank as if its card rounded otherwise."""
            found = super().train_step(batch)
            for parameter in self.network.parameters():
                parameter.data.mul_(1 + 1e-5 * self.ranks.number)
            return found

    nnunet.DDP = lambda network, device_ids: DistributedDataParallel(network)
    nnunet_logger.LocalLogger.plot_progress_png = lambda *_: None
    logged: list[str] = []  # in runs of Weights & Biases
    config = SimpleNamespace(update=lambda values, allow_val_change: None)
    run = SimpleNamespace(id="1", config=config, summary={}, step=0, log=lambda values, step: logged.extend(values))
    nnunet_logger.wandb = SimpleNamespace(init=lambda **_: run)
    trainer = OnProcessors(plans, "3d_fullres", 0, dataset_json)
    trainer.run_training()
    return {
        "weights": trainer.network.module.state_dict(),
        "history": trainer.history.state_dict(),
        "tally": trainer.counts.total.state_dict(),
        "logged": logged,
    }


def _rank(rank: int, port: int, folder: Path, plans: dict, dataset_json: dict) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    results = {
        "start": tiny_network(features=(4, 8)).state_dict(),
        "touched": _train_network(rank, touch=True),
        "trainer": _train(rank, plans, dataset_json),
    }
    try:
        _train_network(rank, touch=False)
    except RuntimeError as error:
        results["error"] = str(error)
    torch.save(results, folder / f"{rank}.pth")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def ranks(folder, tiny_dataset) -> list[dict]:
    """What the two ranks found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plans = {**tiny_dataset.plans, "continue_training": False}
    plans["configurations"]["3d_fullres"]["hetero_modal"].update(seed=3, num_iterations_per_epoch=4)
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_dataset.use(monkeypatch, folder / "results")
        monkeypatch.setenv("nnUNet_wandb_enabled", "1")
        arguments = (port, folder, plans, tiny_dataset.dataset_json)
        multiprocessing.start_processes(_rank, args=arguments, nprocs=2, start_method="spawn")
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


class TestNetwork:
    def test_ranks_end_with_the_same_weights(self, ranks):
        first, second = (results["touched"] for results in ranks)
        assert all(torch.equal(first[key], second[key]) for key in first)

    def test_every_part_learned(self, ranks):
        """Modality 2 was drawn by rank 0 only; its encoder moved on both."""
        start = ranks[0]["start"]
        for results in ranks:
            for part in ("encoders.0", "encoders.1", "encoders.2", "encoders.3", "decoder", "image_decoder"):
                names = [name for name in start if name.startswith(part)]
                assert any(not torch.equal(start[name], results["touched"][name]) for name in names), part

    def test_ddp_fails_without_touching_absent_encoders(self, ranks):
        assert all("Expected to have finished reduction" in results["error"] for results in ranks)


class TestTrainer:
    def test_ranks_end_with_the_same_weights(self, ranks):
        first, second = (results["trainer"]["weights"] for results in ranks)
        assert all(torch.equal(first[key], second[key]) for key in first)
        assert all(torch.isfinite(value).all() for value in first.values())

    def test_history_is_that_of_all_ranks(self, ranks):
        first, second = (results["trainer"]["history"] for results in ranks)
        for key in ("loss/total", "loss/kl", "pseudo_dice/1"):
            assert first[key] == pytest.approx(second[key], nan_ok=True)
            assert list(first[key]) == [0, 1]

    def test_weights_and_biases_are_told_once(self, ranks):
        first, second = (results["trainer"]["logged"] for results in ranks)
        assert {"loss/kl", "pseudo_dice/1", "train_losses"} <= set(first) and second == []

    def test_modalities_are_counted_over_all_ranks(self, ranks):
        first, second = (results["trainer"]["tally"] for results in ranks)
        assert first == second
        # Two epochs of four steps; each rank has one of the two samples of a batch.
        assert sum(first["there"].values()) == sum(first["drawn"].values()) == 16

    def test_checkpoint_has_the_streams_of_all_ranks(self, ranks, folder):
        (file,) = folder.rglob("checkpoint_final.pth")
        streams = torch.load(file, weights_only=False)["hetero_modal"]["streams"]
        assert len(streams) == 2
        assert streams[0]["sampler"]["state"] != streams[1]["sampler"]["state"]
        assert not torch.equal(streams[0]["torch"], streams[1]["torch"])
