"""nnU-Net's loop over epochs and steps, left and entered between any two steps."""

from __future__ import annotations

import itertools
import time

import pytest

from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.interruption import epoch_progress
from nnunet_hetero.training.interruption.epoch_progress import EpochProgress, StopHereError, run_epochs
from nnunet_hetero.training.interruption.stop_signals import StoppedError, StopSignals

STEPS = 3 * (3 + 2)
"""Of three epochs with three training and two validation steps each."""


class Recorder:
    """A trainer that notes what is called, and asks to stop before a step."""

    num_epochs, num_iterations_per_epoch, num_val_iterations_per_epoch = 3, 3, 2

    def __init__(self, stop: StopSignals, before_step: int | None = None, epoch: int = 0):
        self.calls: list = []
        self.current_epoch = epoch
        self.dataloader_train, self.dataloader_val = self._batches("train"), self._batches("val")
        self._stop, self._before_step, self._steps = stop, before_step, 0
        self._ask()

    def _batches(self, kind):
        return ((kind, number) for number in itertools.count())

    def _ask(self) -> None:
        if self._steps == self._before_step:
            self._stop.reason = "SIGTERM"
        self._steps += 1

    def train_step(self, batch):
        self._ask()
        self.calls.append("train_step")
        return {"loss": (self.current_epoch, "train")}

    def validation_step(self, batch):
        self._ask()
        self.calls.append("validation_step")
        return {"loss": (self.current_epoch, "val")}

    def on_epoch_start(self):
        self.calls.append("on_epoch_start")

    def on_train_epoch_start(self):
        self.calls.append("on_train_epoch_start")

    def on_train_epoch_end(self, outputs):
        self.calls.append(("on_train_epoch_end", list(outputs)))

    def on_validation_epoch_start(self):
        self.calls.append("on_validation_epoch_start")

    def on_validation_epoch_end(self, outputs):
        self.calls.append(("on_validation_epoch_end", list(outputs)))

    def on_epoch_end(self):
        self.calls.append("on_epoch_end")
        self.current_epoch += 1


def ends(calls) -> list:
    return [call for call in calls if isinstance(call, tuple)]


def test_it_calls_what_nnunet_calls():
    trainer = Recorder(StopSignals())
    run_epochs(trainer, EpochProgress(), StopSignals(), Ranks())
    train, val = {"loss": (1, "train")}, {"loss": (1, "val")}
    epoch = [
        *("on_epoch_start", "on_train_epoch_start", *["train_step"] * 3, ("on_train_epoch_end", [train] * 3)),
        *("on_validation_epoch_start", *["validation_step"] * 2, ("on_validation_epoch_end", [val] * 2)),
        "on_epoch_end",
    ]
    assert len(trainer.calls) == 3 * len(epoch)
    assert trainer.calls[len(epoch) : 2 * len(epoch)] == epoch


@pytest.mark.parametrize("before_step", range(STEPS))
def test_stopped_before_any_step_it_takes_every_step_once(before_step):
    undisturbed = Recorder(StopSignals())
    run_epochs(undisturbed, EpochProgress(), StopSignals(), Ranks())

    stop, progress = StopSignals(), EpochProgress()
    first = Recorder(stop, before_step)
    with pytest.raises(StopHereError):
        run_epochs(first, progress, stop, Ranks())
    assert progress.is_unfinished
    continued = EpochProgress()
    continued.load_state_dict(progress.state_dict())
    second = Recorder(StopSignals(), epoch=first.current_epoch)
    run_epochs(second, continued, StopSignals(), Ranks())

    steps = [call for call in (*first.calls, *second.calls) if call in ("train_step", "validation_step")]
    assert steps == [call for call in undisturbed.calls if call in ("train_step", "validation_step")]
    # The end of a phase may be looked at again, never with other outputs.
    assert ends(second.calls) == ends(undisturbed.calls)[-len(ends(second.calls)) :]
    assert {str(call) for call in ends(first.calls) + ends(second.calls)} == {str(c) for c in ends(undisturbed.calls)}


def test_time_of_an_epoch_is_without_the_pause():
    progress = EpochProgress()
    progress.begin()
    time.sleep(0.05)
    state = progress.state_dict()
    assert 0.05 <= state["seconds"] < 5
    progress.end()
    assert not progress.is_unfinished and progress.state_dict()["seconds"] == 0
    continued = EpochProgress()
    continued.load_state_dict({**state, "seconds": 100.0})
    continued.begin()
    assert 100 <= continued.state_dict()["seconds"] < 105


def test_with_other_ranks_an_epoch_is_validated_anew():
    progress = EpochProgress([{"loss": 1}], [{"loss": 2}])
    continued = EpochProgress()
    continued.load_state_dict(progress.state_dict(), same_ranks=False)
    assert (continued.training, continued.validation) == ([{"loss": 1}], [])


@pytest.mark.parametrize("asked", [True, False])
def test_loaders_that_the_scheduler_ended_are_no_error_if_it_meant_us_too(asked, monkeypatch):
    monkeypatch.setattr(epoch_progress, "PATIENCE_SECONDS", 0.1)
    stop = StopSignals()
    trainer = Recorder(stop)

    def dying():
        yield {}
        stop.reason = "SIGTERM" if asked else None
        raise RuntimeError("One or more background workers are no longer alive.")

    trainer.dataloader_train = dying()
    with pytest.raises(StopHereError if asked else RuntimeError):
        run_epochs(trainer, EpochProgress(), stop, Ranks())


@pytest.mark.parametrize("asked", [True, False])
def test_a_step_that_fails_when_the_scheduler_ends_processes_leaves_no_checkpoint_of_it(asked, monkeypatch):
    monkeypatch.setattr(epoch_progress, "PATIENCE_SECONDS", 0.1)
    stop = StopSignals()
    trainer = Recorder(stop)

    def fail(batch):
        stop.reason = "SIGTERM" if asked else None
        raise RuntimeError("A process in the process pool was terminated abruptly.")

    trainer.train_step = fail
    with pytest.raises(StoppedError if asked else RuntimeError):
        run_epochs(trainer, EpochProgress(), stop, Ranks())
