"""The pictures of a calibration show what they were given."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.calibration.figures import coverage_curves, reliability_diagrams
from nnunet_hetero.reliability.temperature import voxel_counts


def test_coverage_against_level():
    figure = coverage_curves([0.5, 0.9], {"core": [0.4, 0.8], "whole": [0.6, np.nan]}, 0.9)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert lines["core"].get_ydata().tolist() == [0.4, 0.8]
    assert lines["as promised"].get_xdata().tolist() == [0, 1]


def test_reliability_before_and_after():
    rng = np.random.default_rng(0)
    probability = rng.uniform(size=2000)
    counts = voxel_counts(probability, rng.uniform(size=2000) < 0.5)
    figure = reliability_diagrams({"core": counts, "whole": counts}, {"core": 9.0, "whole": 1.0})
    assert [axes.get_title() for axes in figure.axes] == ["core", "whole"]
    before, after = figure.axes[0].get_lines()[1:]
    assert "error" in before.get_label() and np.ptp(before.get_xdata()) > 0.8 > 0.5 > np.ptp(after.get_xdata())
