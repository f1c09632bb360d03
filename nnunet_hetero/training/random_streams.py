"""Random streams of a process, those of the latents' noise among them: seeded, kept, and taken up again."""

from __future__ import annotations

import random
import secrets
from typing import Any

import numpy as np
import torch

from nnunet_hetero.nnunet.ranks import Ranks


def seed_of_training(wanted: int | None, ranks: Ranks) -> int:
    """The seed of a training: the one that is wanted, or one from the system, the same for all ranks.

    Args:
        wanted: The setting; None draws one. Without any, torch would start every training at the same place.
        ranks: All processes of the training; the first one's draw counts.
    """
    if wanted is not None:
        return wanted
    return ranks.gather([secrets.randbits(31)])[0]


def seed_everything(seed: int) -> None:
    """Start the streams of Python, numpy and torch from a seed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """Where the streams of this process are."""
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Go on from what `random_state` gave; that of a GPU is left out where there is none."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
