"""Our prediction flags, as the user types them between nnU-Net's."""

from __future__ import annotations

import pytest

from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import split_prediction_flags


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], SamplingOptions(10, 0, None, False)),
        (["--num_samples", "0"], SamplingOptions(0)),
        (["--num_samples=20", "--seed", "7"], SamplingOptions(20, 7)),
        (["--save_completed"], SamplingOptions(save_completed="missing")),
        (["--save_completed", "missing"], SamplingOptions(save_completed="missing")),
        (["--save_completed", "all", "--save_uncertainty"], SamplingOptions(10, 0, "all", True)),
    ],
)
def test_sampling(typed, expected):
    options, rest = split_prediction_flags(["-i", "IN", *typed, "-o", "OUT"], prog="nnUNetv2_predict")
    assert options.sampling == expected
    assert rest == ["-i", "IN", "-o", "OUT"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--num_samples", "-1"], "argument --num_samples: '-1' is no whole number, 0 or more"),
        (["--num_samples", "many"], "argument --num_samples: 'many' is no whole number"),
        (["--seed", "1.5"], "argument --seed: '1.5' is no whole number"),
        (["--save_completed", "some"], "argument --save_completed: invalid choice: 'some'"),
    ],
)
def test_impossible_values(typed, message, capsys):
    with pytest.raises(SystemExit) as end:
        split_prediction_flags(typed, prog="nnUNetv2_predict")
    assert end.value.code == 2 and message in capsys.readouterr().err
