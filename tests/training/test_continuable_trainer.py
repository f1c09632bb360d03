"""A training that is stopped between two steps goes on there, bit for bit; so does the validation after it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.trainers import assert_same_state, initialised, load
from nnunetv2.run.run_training import maybe_load_checkpoint

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.checkpoints import best_score_of_epoch
from nnunet_hetero.training.interruption.stop_signals import StoppedError

SETTINGS = {"num_epochs": 2, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 2, "seed": 4}


def without_times(values: dict) -> dict:
    return {key: series for key, series in values.items() if "timestamp" not in key}


def final(trainer) -> dict:
    """What must be the same of the final checkpoint."""
    found = load(f"{trainer.output_folder}/checkpoint_final.pth")
    found["hetero_modal"]["history"] = without_times(found["hetero_modal"]["history"])
    found["logging"] = without_times(found["logging"])
    return {key: value for key, value in found.items() if key != "init_args"}


def stopped_in(trainer, step_name: str, number: int) -> None:
    """Train until a signal comes in the step of a name with that number."""
    step, count = getattr(trainer, step_name), 0

    def interrupted(batch):
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(batch)

    setattr(trainer, step_name, interrupted)
    with pytest.raises(StoppedError):
        trainer.run_training()


def resumed(make_trainer, results: str):
    """A trainer that goes on; nothing of the process before is left but the file."""
    torch.manual_seed(99)
    np.random.seed(99)
    trainer = make_trainer(results=results, resume=True, **SETTINGS)
    maybe_load_checkpoint(trainer, True, False)
    return trainer


@pytest.mark.usefixtures("no_figures")
def test_stopped_in_a_training_step_and_in_a_validation_step(make_trainer):
    straight = make_trainer(results="straight", **SETTINGS)
    straight.run_training()
    expected = final(straight)

    trainer = make_trainer(results="stopped", **SETTINGS)
    stopped_in(trainer, "train_step", 1)
    checkpoint = load(f"{trainer.output_folder}/checkpoint_latest.pth")
    assert checkpoint["current_epoch"] == 0 and not any(checkpoint["logging"].values())
    assert len(checkpoint["hetero_modal"]["streams"][0]["epoch"]["training"]) == 1

    trainer = resumed(make_trainer, "stopped")
    assert trainer.current_epoch == 0
    stopped_in(trainer, "validation_step", 3)
    checkpoint = load(f"{trainer.output_folder}/checkpoint_latest.pth")
    assert checkpoint["current_epoch"] == 1
    assert {key: len(values) for key, values in checkpoint["logging"].items()} == dict.fromkeys(
        expected["logging"], 1
    ) | {
        "epoch_start_timestamps": 1,
        "epoch_end_timestamps": 1,
    }

    trainer = resumed(make_trainer, "stopped")
    trainer.run_training()
    assert_same_state(final(trainer), expected)
    assert not Path(trainer.output_folder, "checkpoint_latest.pth").exists()


@pytest.mark.usefixtures("no_figures")
def test_a_checkpoint_without_progress_goes_on_at_an_epoch(make_trainer):
    """As versions before this wrote them."""
    trainer = initialised(make_trainer(**SETTINGS))
    file = f"{trainer.output_folder}/checkpoint_latest.pth"
    trainer.save_checkpoint(file)
    old = load(file)
    (stream,) = old["hetero_modal"]["streams"]
    assert stream.pop("tally") == {"there": {}, "drawn": {}} and "epoch" not in stream
    torch.save(old, file)
    trainer = resumed(make_trainer, "results")
    assert (trainer.current_epoch, trainer.progress.training) == (1, [])


def test_more_processes_than_a_batch_has_samples(make_trainer):
    trainer = make_trainer(**SETTINGS)
    trainer.ranks = Ranks(0, 3)
    with pytest.raises(SettingsError, match=r"A batch has 2 sample\(s\), and 3 processes .* Start at most 2, or plan"):
        trainer._take_part(torch.device("cpu"))


def test_time_is_up_before_the_first_step(make_trainer, monkeypatch, no_figures):
    monkeypatch.setenv("NNUNET_HETERO_MAX_TIME", "01:00")
    trainer = make_trainer(**SETTINGS)
    trainer.stop._deadline = 0.0
    with pytest.raises(StoppedError):
        trainer.run_training()
    log = "".join(file.read_text() for file in Path(trainer.output_folder).glob("training_log*"))
    assert "Stopped by the time that it may take before the first step" in log
    assert not list(Path(trainer.output_folder).glob("*.pth"))


@pytest.mark.parametrize("before", ["checkpoint", ""])
def test_stopped_before_the_first_step(make_trainer, monkeypatch, before):
    """While nnU-Net unpacks the data, for example, it stops there; what was there before stays."""
    trainer = make_trainer(**SETTINGS)
    latest = Path(trainer.output_folder, "checkpoint_latest.pth")
    if before:
        initialised(trainer).save_checkpoint(str(latest))
    content = latest.read_bytes() if before else None
    trainer.prepare_inputs()
    reached = []

    def unpack_dataset(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        reached.append("the end")

    monkeypatch.setattr(trainer.dataset_class, "unpack_dataset", unpack_dataset)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process that a signal may leave behind"))
    with pytest.raises(StoppedError):
        trainer.run_training()
    assert not reached and (latest.read_bytes() if before else None) == content
    log = "".join(file.read_text() for file in Path(trainer.output_folder).glob("training_log*"))
    assert "Stopped by SIGTERM before the first step. The same command begins here." in log


def test_validation_goes_on_with_the_cases_that_lack(make_trainer, tiny_dataset, monkeypatch):
    trainer = initialised(make_trainer(**SETTINGS))
    cases = sorted(tiny_dataset.validation_cases)
    folder = Path(trainer.output_folder) / "validation"
    say, predicted = trainer.print_to_log_file, []

    def print_to_log_file(*words, **keywords):
        if str(words[0]).startswith("predicting"):
            predicted.append(str(words[0]).split()[1])
            if len(predicted) == 2:
                while not (folder / f"{predicted[0]}.nii.gz").is_file():
                    pass
                os.kill(os.getpid(), signal.SIGUSR1)
        say(*words, **keywords)

    monkeypatch.setattr(trainer, "print_to_log_file", print_to_log_file)
    with pytest.raises(StoppedError):
        trainer.perform_actual_validation()
    assert not (folder / "summary.json").exists() and (folder / "unfinished.json").is_file()
    first = (folder / f"{cases[0]}.nii.gz").stat().st_mtime_ns

    trainer.stop.reason = None
    trainer.perform_actual_validation()
    assert predicted == [*cases, cases[1]]
    assert (folder / f"{cases[0]}.nii.gz").stat().st_mtime_ns == first
    assert len(json.loads((folder / "summary.json").read_text())["metric_per_case"]) == 2
    assert not (folder / "unfinished.json").exists()
    assert sorted(trainer.do_split()[1]) == cases


def test_the_best_score_is_that_of_the_epoch(make_trainer):
    trainer = initialised(make_trainer(**SETTINGS))
    latest = f"{trainer.output_folder}/checkpoint_latest.pth"
    trainer._best_ema = 0.25
    trainer.save_checkpoint(latest)
    assert best_score_of_epoch(latest, 1, 0.25) == 0.25
    trainer._best_ema = 0.5
    trainer.save_checkpoint(f"{trainer.output_folder}/checkpoint_best.pth")
    assert best_score_of_epoch(latest, 1, 0.25) == 0.5
    assert best_score_of_epoch(latest, 2, 0.25) == 0.25
    trainer = make_trainer(resume=True, **SETTINGS)
    maybe_load_checkpoint(trainer, True, False)
    assert trainer._best_ema == 0.5
