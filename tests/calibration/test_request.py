"""What a user may ask of a calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_hetero.calibration.request import CalibrationRequest
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions


def test_it_is_a_request_to_segment_with_draws():
    request = CalibrationRequest("MODEL", 0, mirroring=False, step_size=0.7)
    assert request.folder == Path("MODEL/calibration")
    assert request.sweep.sampling.num_samples == 10 and not request.sweep.mirroring
    assert (request.sweep.folds, request.sweep.step_size) == (0, 0.7)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_levels(level):
    with pytest.raises(SettingsError, match="--level"):
        CalibrationRequest("MODEL", level=level)


def test_no_draws():
    with pytest.raises(SettingsError, match="--num_samples is 0"):
        CalibrationRequest("MODEL", sampling=SamplingOptions(0))


@pytest.mark.parametrize("only", ["images", "labels"])
def test_images_need_labels(only):
    with pytest.raises(SettingsError, match="-i and -l belong together"):
        CalibrationRequest("MODEL", **{only: "FOLDER"})
