"""What is measured, chosen among all metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions

ALL = MetricOptions.of(["all"])
NOTHING = RegionMasks(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool), (1.0, 1.0, 1.0))


class TestOptions:
    def test_columns_in_their_order_with_the_dice_always(self):
        assert MetricOptions(("volume", "lesion")).columns == ("dice", "lesion_dice", "lesion_hd95", "volume_error_ml")
        assert len(ALL.columns) == 8
        assert list(MetricOptions(("nsd",)).measure(NOTHING)) == ["dice", "nsd"]

    def test_every_column_has_its_convention(self):
        options = MetricOptions.of(["all"], tolerance=2.5, lesion_rule="metastases")
        assert tuple(options.conventions) == options.columns
        assert "tolerance of 2.5 mm" in options.conventions["nsd"]
        assert "metastases" in options.conventions["lesion_dice"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"names": ("dice", "iou")}, "no 'iou'"),
            ({"tolerance": -1.0}, "--nsd_tolerance is -1"),
            ({"tolerance": math.nan}, "--nsd_tolerance is nan"),
            ({"lesion_rule": "liver"}, "no 'liver'"),
        ],
    )
    def test_impossible_ones(self, arguments, message):
        with pytest.raises(SettingsError, match=message):
            MetricOptions(**arguments)
