"""Learning rate by steps, and the end of a training that no longer gets better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.optim import Optimizer


class StepDecay:
    """Divides the learning rate after every so many training steps.

    Args:
        optimizer: Whose learning rate.
        initial_lr: The learning rate at the start.
        iterations_per_epoch: Training steps per epoch; the rate changes between epochs only.
        every: After how many training steps it is divided.
        divisor: By what.
    """

    def __init__(self, optimizer: Optimizer, initial_lr: float, iterations_per_epoch: int, every: int, divisor: float):
        self.optimizer = optimizer
        self.initial_lr = initial_lr
        self.iterations_per_epoch = iterations_per_epoch
        self.every = every
        self.divisor = divisor

    def step(self, epoch: int) -> None:
        """Set the learning rate of an epoch; nnU-Net calls this at its start."""
        times = epoch * self.iterations_per_epoch // self.every
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr / self.divisor**times


class PlateauReachedError(Exception):
    """The training no longer gets better; not an error of the user's, but the way out of nnU-Net's loop."""


def require_progress(values: Sequence[float], patience: int | None) -> None:
    """Look whether the best value is not too long ago.

    Args:
        values: One per epoch so far, higher is better.
        patience: Epochs without a better value that are allowed; None allows any number.

    Raises:
        PlateauReachedError: If more have passed.
    """
    if patience is None or not len(values):
        return
    best = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
    since = len(values) - 1 - best
    if since >= patience:
        raise PlateauReachedError(
            f"No better moving average of the pseudo Dice than {values[best]:.4f} of epoch {best} for {since} epochs: "
            f"training ends here, after {len(values)} epochs."
        )
