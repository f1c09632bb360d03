"""The metrics of the package, each by hand on one pair of masks; empty ones: see `test_overlap`."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.evaluation.scores.built_in import BUILT_IN
from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric_settings import MetricSettings

EXPECTED = {
    "dice": (2 * 60 / (80 + 100),),
    "hd95": (1.0,),
    # The image's border is a surface too: 14 voxels around each plate that both have, of 74 and 82 in all.
    "nsd": (2 * 3 * 14 / (74 + 82),),
    "lesion": (2 * 60 / (80 + 100), 1.0),
    "sensitivity": (60 / 100,),
    "precision": (60 / 80,),
    "volume": ((80 - 100) / 1000,),
}


@pytest.fixture
def plates() -> RegionMasks:
    """Plates of one voxel, 20 voxels each, 1 mm apart: five are true; three of them are predicted, and one beside."""
    prediction, truth = np.zeros((9, 4, 5), bool), np.zeros((9, 4, 5), bool)
    truth[1:6], prediction[2:5], prediction[6] = True, True, True
    return RegionMasks(prediction, truth, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: metric.name)
def test_by_hand(metric, plates):
    found = metric.measure(plates, MetricSettings(tolerance=0.5))
    assert list(found) == [column.name for column in metric.columns]
    assert tuple(found.values()) == pytest.approx(EXPECTED[metric.name])


@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: metric.name)
def test_none_fails_on_empty_masks(metric):
    metric.try_out(MetricSettings())


def test_every_one_is_tested():
    assert {metric.name for metric in BUILT_IN} == EXPECTED.keys()
