"""What the folds of a calibrated model say, in JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.results.two_scans import calibration_of

from nnunet_hetero.inference.engine.case_result import CasePrediction, Statement
from nnunet_hetero.inference.output.statements import at_temperatures, said_by, statements_of
from nnunet_hetero.nnunet.extent import VoxelSize
from nnunet_hetero.reliability.calibration_file import TOGETHER
from nnunet_hetero.reliability.intervals import CalibrationInUse

ONE, TWO, BOTH = (
    Statement(np.array([size, 1.0]), np.array([0.1, 0.2]), *[np.array([0.3, 0.4])] * 3) for size in (10.0, 14.0, 12.0)
)
PREDICTION = CasePrediction((0,), 4, np.zeros((2, 1)), statement=BOTH, of_folds=(ONE, TWO))
APART = CalibrationInUse(calibration_of(), ("0", "1"))


def test_each_fold_speaks_for_itself_unless_they_count_as_one():
    assert said_by(APART, PREDICTION) == (ONE, TWO)
    assert said_by(CalibrationInUse(calibration_of(), (TOGETHER,)), PREDICTION) == (BOTH,)


def test_in_json():
    found = statements_of(APART, ["whole", "core"], PREDICTION, VoxelSize(0.008, "ml"))
    assert json.loads(json.dumps(found)) == {
        "unit": "ml",
        "voxel": 0.008,
        "folds": ["0", "1"],
        "sizes": {"whole": [10.0, 14.0], "core": [1.0, 1.0]},
        "disagreement": {"whole": [0.1, 0.1], "core": [0.2, 0.2]},
    }


def test_how_large_the_image_is_if_it_is_known():
    assert statements_of(APART, ["whole", "core"], PREDICTION, VoxelSize(0.008, "ml"), 90.0)["image"] == 90.0


def test_nothing_without_a_calibration_or_a_known_voxel():
    assert statements_of(None, ["whole", "core"], PREDICTION, VoxelSize(0.008, "ml")) is None
    assert statements_of(APART, ["whole", "core"], PREDICTION, VoxelSize(1.0, None)) is None


def test_probabilities_of_regions_and_of_labels():
    maps = np.array([[0.5, 0.9], [0.1, 0.5]])
    warm = at_temperatures(maps, np.array([2.0, 1.0]), None)
    assert warm == pytest.approx(np.array([[0.5, 0.75], [0.1, 0.5]]))
    labels = at_temperatures(np.array([[0.1, 0.8], [0.9, 0.2]]), np.array([2.0]), [1])
    assert labels.sum(axis=0) == pytest.approx(1) and labels[1, 0] < 0.9
