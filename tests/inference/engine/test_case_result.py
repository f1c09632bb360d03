"""What may be asked of a prediction."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions


@pytest.mark.parametrize(
    "wrong", [{"num_samples": -1}, {"num_samples": 1.5}, {"seed": True}, {"save_completed": "some"}]
)
def test_impossible_options(wrong):
    name = next(iter(wrong))
    with pytest.raises(SettingsError, match=f"--{name} is "):
        SamplingOptions(**wrong)


@pytest.mark.parametrize("right", [{"num_samples": 0}, {"save_completed": "all"}, {"save_completed": None, "seed": 7}])
def test_possible_ones(right):
    options = SamplingOptions(**right)
    assert {name: getattr(options, name) for name in right} == right
