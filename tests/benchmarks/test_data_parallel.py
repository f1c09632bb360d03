"""The model behind the extrapolation to many GPUs."""

from __future__ import annotations

import pytest
from data_parallel import COMPUTE, LATENCY, step_seconds


def test_an_exchange_that_hides_costs_nothing():
    assert step_seconds(2, 1e6, 1e12, 0.5) == COMPUTE


def test_what_does_not_hide_is_added():
    seconds = step_seconds(4, 1e9, 1e9, 0.25)
    assert seconds == pytest.approx(0.75 * COMPUTE + 2 * 3 / 4 + 6 * LATENCY)


def test_more_gpus_never_make_a_step_shorter():
    found = [step_seconds(gpus, 1e8, 1.25e9, 0.0) for gpus in (1, 2, 8, 64)]
    assert found == sorted(found)
