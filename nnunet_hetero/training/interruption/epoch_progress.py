"""The epochs of a training, step by step, so that one that stops in the middle of an epoch goes on there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.interruption.stop_signals import StoppedError, StopSignals

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

PATIENCE_SECONDS = 2.0
"""A loader whose processes were ended by a scheduler may say so before the training hears of it."""


class StopHereError(Exception):
    """The way out of the epochs, between two steps; not an error of the user's."""


@dataclass
class EpochProgress:
    """What the steps of the running epoch have given on this rank, as far as they are done.

    Args:
        training: What nnU-Net's training steps gave.
        validation: What its validation steps gave.
        seconds: How long the epoch ran before it was stopped.
    """

    training: list[dict] = field(default_factory=list)
    validation: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    _begun: float | None = None

    def begin(self) -> None:
        """The epoch begins, or goes on."""
        self._begun = time.time() - self.seconds

    def end(self) -> None:
        """All of its steps are done and looked at."""
        self.training, self.validation, self.seconds, self._begun = [], [], 0.0, None

    @property
    def is_unfinished(self) -> bool:
        """Whether the epoch has begun and has not ended."""
        return self._begun is not None

    def state_dict(self) -> dict[str, Any]:
        """Plain values and numpy arrays, as they stand in a checkpoint."""
        seconds = 0.0 if self._begun is None else time.time() - self._begun
        return {"training": self.training, "validation": self.validation, "seconds": seconds}

    def load_state_dict(self, state: dict[str, Any], same_ranks: bool = True) -> None:
        """Go on from a checkpoint.

        Args:
            state: That of this rank.
            same_ranks: Whether the training goes on with as many ranks. If not, the epoch's validation begins anew,
                because its subsets are dealt out to the ranks.
        """
        self.training = list(state["training"])
        self.validation = list(state["validation"]) if same_ranks else []
        self.seconds = state["seconds"]


def run_epochs(trainer: nnUNetTrainer, progress: EpochProgress, stop: StopSignals, ranks: Ranks) -> None:
    """nnU-Net's loop over epochs and steps, which can begin and end between any two steps.

    Everything that nnU-Net calls at the begin and at the end of an epoch is called for one that goes on, too, with the
    outputs of the steps that were done before.

    Args:
        trainer: After ``on_train_start``.
        progress: Of the first epoch; filled as the training goes on.
        stop: Looked at before every step.
        ranks: All processes of the training; they stop together.

    Raises:
        StopHereError: If the training was asked to stop; ``progress`` says how far it is.
        StoppedError: If a step failed, since a scheduler that asks the training to stop asks processes that work for
            it, too. The weights may be those of half a step then.
    """

    def was_asked() -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while stop.reason is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return stop.reason is not None and ranks.count == 1

    def next_batch(loader: Any) -> dict:
        if ranks.any(stop.reason is not None):
            raise StopHereError
        try:
            return next(loader)
        except RuntimeError:  # its processes are gone
            if was_asked():
                raise StopHereError from None
            raise

    def take(step: Callable[[dict], dict], loader: Any) -> dict:
        batch = next_batch(loader)
        try:
            return step(batch)
        except RuntimeError:  # as when those that compile for the first step are gone
            if was_asked():
                raise StoppedError from None
            raise

    for _ in range(trainer.current_epoch, trainer.num_epochs):
        trainer.on_epoch_start()
        progress.begin()
        trainer.on_train_epoch_start()
        while len(progress.training) < trainer.num_iterations_per_epoch:
            progress.training.append(take(trainer.train_step, trainer.dataloader_train))
        trainer.on_train_epoch_end(progress.training)

        with torch.no_grad():
            trainer.on_validation_epoch_start()
            while len(progress.validation) < trainer.num_val_iterations_per_epoch:
                progress.validation.append(take(trainer.validation_step, trainer.dataloader_val))
            trainer.on_validation_epoch_end(progress.validation)
        progress.end()
        trainer.on_epoch_end()
