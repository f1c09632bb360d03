"""Small steps that tests of trainers share."""

from __future__ import annotations

import numpy as np
import torch


def initialised(trainer):
    """The trainer, with its network, optimiser and loss."""
    trainer.initialize()
    return trainer


def load(file) -> dict:
    """A checkpoint, whatever is in it."""
    return torch.load(file, weights_only=False)


def assert_same_state(one, other) -> None:
    """Equality of nested checkpoints, bit for bit; NaN equals NaN."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_state(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same_state(*pair)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, (float, np.ndarray, np.generic)):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other
