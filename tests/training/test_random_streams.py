"""The seed of a training: given, or drawn, and said."""

from __future__ import annotations

import numpy as np
import torch
from helpers.trainers import initialised

from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.random_streams import (
    random_state,
    seed_everything,
    seed_of_training,
    set_random_state,
)


def draws() -> list[float]:
    return [float(np.random.random()), torch.rand(1).item()]


def test_a_seed_starts_all_streams():
    seed_everything(3)
    first = draws()
    seed_everything(3)
    assert draws() == first


def test_streams_go_on_from_a_state():
    state = random_state()
    first = draws()
    set_random_state(state)
    assert draws() == first


def test_a_state_of_a_training_on_a_gpu_goes_on_without_one():
    state = random_state()
    first = draws()
    set_random_state({**state, "cuda": torch.zeros(16, dtype=torch.uint8)})
    assert draws() == first


def test_the_wanted_seed_is_taken_and_others_differ():
    assert seed_of_training(5, Ranks()) == 5 and seed_of_training(0, Ranks()) == 0
    assert len({seed_of_training(None, Ranks()) for _ in range(20)}) > 15


def weights(trainer) -> torch.Tensor:
    return torch.cat([value.flatten() for value in initialised(trainer).network.state_dict().values()])


def test_trainings_without_a_seed_begin_at_different_places(make_trainer):
    """Torch alone would start each process at the same place."""
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(weights(make_trainer()))
    assert not torch.equal(*found)


def test_a_drawn_seed_can_be_set_to_repeat_the_training(make_trainer):
    trainer = make_trainer()
    expected = weights(trainer)
    assert trainer.hetero.seed is None
    again = make_trainer(seed=trainer.seed)
    assert torch.equal(weights(again), expected)
    present = np.ones((50, 4), bool)
    assert (again.sampler.draw(present) == trainer.sampler.draw(present)).all()
