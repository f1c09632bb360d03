"""What the user settles for all metrics."""

from __future__ import annotations

import math

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.metric_settings import LESION_RULES, MetricSettings


def test_rule_of_the_challenge():
    assert MetricSettings(lesion_rule="metastases").rule == LESION_RULES["metastases"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": -1.0}, "--nsd_tolerance is -1"),
        ({"tolerance": math.nan}, "--nsd_tolerance is nan"),
        ({"tolerance": math.inf}, "--nsd_tolerance is inf"),
        ({"lesion_rule": "liver"}, "no 'liver'; choose from glioma"),
    ],
)
def test_impossible_ones(arguments, message):
    with pytest.raises(SettingsError, match=message):
        MetricSettings(**arguments)
