"""Pictures of the predicted Dice."""

from __future__ import annotations

import numpy as np
import pytest
from calibration.test_quality_scores import observations

from nnunet_hetero.calibration.quality_figures import predicted_against_true, quality_figures, risk_coverage_curves
from nnunet_hetero.calibration.quality_scores import predicted_by_region
from nnunet_hetero.reliability.quality import fit_quality


@pytest.fixture(scope="module")
def predicted():
    rows = observations()
    return predicted_by_region(rows, fit_quality(rows))


def test_the_curve_ends_at_the_mean_risk_of_all(predicted):
    (axes,) = risk_coverage_curves(predicted).axes
    ours, best, _ = axes.lines
    risk = float(1 - predicted["whole"].true.mean())
    assert ours.get_ydata()[-1] == pytest.approx(risk) and best.get_ydata()[-1] == pytest.approx(risk)
    assert (np.asarray(best.get_ydata()) <= np.asarray(ours.get_ydata()) + 1e-9).all()


def test_a_dot_for_each_case_and_subset(predicted):
    (axes,) = predicted_against_true(predicted).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [30, 30]
    assert len({line.get_color() for line in dots}) == 2


def test_names_and_captions(predicted):
    assert [name for name, _, _ in quality_figures(predicted)] == ["risk_coverage", "predicted_dice"]
    assert quality_figures({}) == []
