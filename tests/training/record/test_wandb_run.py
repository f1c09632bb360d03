"""Runs of Weights & Biases without a network: by the package where it is there, and by one that only remembers."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from nnunetv2.training.logging import nnunet_logger
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks, logged_by_first
from nnunet_hetero.training.record.loggers import add_loggers
from nnunet_hetero.training.record.wandb_run import RUN_FILE, WandbRun


class Server:
    """What W&B keeps of its runs: each step of a run once, and settings that do not change unless told so."""

    def __init__(self):
        self.config: dict[str, dict] = {}
        self.told: dict[str, dict[int, dict]] = {}

    def init(self, id=None, resume="never", **_):
        id = id or f"run{len(self.told)}"
        assert resume == "allow" or id not in self.told
        config, told = self.config.setdefault(id, {}), self.told.setdefault(id, {})

        def update(values: dict, allow_val_change: bool = False) -> None:
            changed = [key for key in values if config.get(key, values[key]) != values[key]]
            assert allow_val_change or not changed, f"Attempted to change value of key {changed}"
            config.update(values)

        def log(values: dict, step: int) -> None:
            assert step >= run.step, f"step {step} is less than current step {run.step}"
            told.setdefault(step, {}).update(values)

        step = max(told) + 1 if told else 0
        run = SimpleNamespace(id=id, step=step, summary={}, config=SimpleNamespace(update=update), log=log)
        return run


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(nnunet_logger, "wandb", server)
    return server


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Function that logs the epochs of a training in a job of this number, the last one up to its middle."""
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    monkeypatch.setenv("nnUNet_wandb_mode", "offline")

    def train(job: int, epochs: range, resume: bool) -> WandbRun:
        monkeypatch.setenv("SLURM_JOB_ID", str(job))
        with logged_by_first(Ranks(0, 1), WandbRun):
            logger = MetaLogger(str(tmp_path), resume)
        if resume:
            logger.local_logger.my_fantastic_logging["train_losses"] = [0.0] * epochs.start
        logger.update_config({"hparas": {"num_epochs": 10 * job}})
        _, terms = add_loggers(logger, True)
        for number in epochs:
            for one in logger.loggers:
                one.log("lrs", 0.01, number)
            if number < epochs[-1]:
                logger.log("train_losses", 0.5 + number, number)
                terms.log("loss/kl", 1.5 + number, number)
                terms.log("pseudo_dice/1", 0.4, number)
                logger.loggers[0].log("epoch_end_timestamps", 3.0, number)
        return logger.loggers[0]

    return train


def test_another_job_goes_on_in_the_same_run(server, training, tmp_path):
    """Also when the folders that W&B has written were removed, as ``wandb sync --clean`` does."""
    training(11, range(3), False)
    training(12, range(2, 4), True)
    assert (tmp_path / RUN_FILE).read_text() == "run0"
    assert server.config == {"run0": {"JobID": "12", "hparas": {"num_epochs": 120}}}
    for number in range(3):
        expected = {"lrs": 0.01, "train_losses": 0.5 + number, "loss/kl": 1.5 + number, "pseudo_dice/1": 0.4}
        assert expected.items() <= server.told["run0"][number].items()
    assert list(server.told["run0"]) == [0, 1, 2]


def test_epochs_that_are_done_again_are_told_once(server, training):
    training(11, range(4), False)
    training(12, range(1, 5), True)
    assert list(server.told["run0"]) == [0, 1, 2, 3]


def test_a_training_that_begins_anew_is_a_run_of_its_own(server, training, tmp_path):
    (tmp_path / "wandb/offline-run-1-run0").mkdir(parents=True)
    training(11, range(2), False)
    training(12, range(2), False)
    assert list(server.told) == ["run0", "run1"] and (tmp_path / RUN_FILE).read_text() == "run1"
    assert (tmp_path / "wandb/offline-run-1-run0").is_dir()


def test_a_run_that_nnunet_has_begun(server, training, tmp_path):
    (tmp_path / "wandb/latest-run").mkdir(parents=True)
    (tmp_path / "wandb/latest-run/run-abc.wandb").touch()
    assert training(11, range(1), True).run.id == "abc"


def test_a_package_that_is_not_there(monkeypatch, training):
    monkeypatch.setattr(nnunet_logger, "wandb", None)
    with pytest.raises(SettingsError, match="Install it: pip install wandb"):
        training(11, range(1), False)


@pytest.mark.slow
def test_with_the_package_itself(training, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr(nnunet_logger, "wandb", wandb)
    ids = []
    for job, epochs, resume in ((11, range(3), False), (12, range(2, 4), True)):
        logger = training(job, epochs, resume)
        ids.append(logger.run.id)
        logger.run.finish()
    assert ids[0] == ids[1] == (tmp_path / RUN_FILE).read_text()
    files = list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert {file.stem for file in files} == {f"run-{ids[0]}"} and len(files) == 2
    assert all(os.path.getsize(file) for file in files)
