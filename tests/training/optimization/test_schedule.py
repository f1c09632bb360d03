"""Learning rates by steps, and trainings that end early."""

from __future__ import annotations

import math

import pytest
import torch

from nnunet_hetero.training.optimization.schedule import PlateauReachedError, StepDecay, require_progress


def test_the_rate_is_divided_between_epochs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = StepDecay(optimizer, initial_lr=0.8, iterations_per_epoch=10, every=25, divisor=4)
    rates = []
    for epoch in range(6):
        schedule.step(epoch)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.8, 0.8, 0.8, 0.2, 0.2, 0.05])


@pytest.mark.parametrize("values", [[], [0.1], [0.5, 0.4, 0.3], [0.1, math.nan, math.nan], [0.3, 0.2, 0.4, 0.3]])
def test_goes_on_within_its_patience(values):
    require_progress(values, 3)
    require_progress(values * 10, None)


@pytest.mark.parametrize("values", [[0.5, 0.4, 0.3, 0.2], [0.1, 0.5, 0.5, math.nan, 0.4], [math.nan] * 4])
def test_ends_when_nothing_gets_better(values):
    with pytest.raises(PlateauReachedError, match=r"for 3 epochs: training ends here, after \d epochs"):
        require_progress(values, 3)
