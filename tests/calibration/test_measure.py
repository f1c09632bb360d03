"""What is measured of a case, against its prediction."""

from __future__ import annotations

import csv
import json
import math
import shutil

import numpy as np
import pytest
from helpers.calibrated import predictor_of
from helpers.tiny_model import read_array

from nnunet_hetero.calibration.measure import neighbourhood
from nnunet_hetero.calibration.records import Row


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def test_rows_say_what_prediction_says(calibrated_model, tmp_path):
    """A row of a case and subset against a prediction of that case from that subset alone, and the truth."""
    with (calibrated_model.folder / "calibration" / "rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(Row.__annotations__)
    assert len(rows) == 3 * 15 * 3
    for name in ("case_01_0000.nii.gz", "case_01_0003.nii.gz"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(calibrated_model.images / name, tmp_path / "in" / name)
    predictor_of(calibrated_model, 1).predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    said = json.loads((tmp_path / "out" / "run.json").read_text())["cases"]["case_01"]["statements"]
    truth = read_array(calibrated_model.labels / "case_01.nii.gz")
    (row,) = (
        row for row in rows if (row["case"], row["subset"], row["region"]) == ("case_01", "T1+FLAIR", "tumor core")
    )
    assert float(row["size"]) == pytest.approx(said["sizes"]["tumor core"][0])
    assert float(row["disagreement"]) == pytest.approx(said["disagreement"]["tumor core"][0], abs=1e-6)
    assert float(row["true_size"]) == pytest.approx((truth >= 2).sum() / 1000)
    assert (row["fold"], row["patient"], row["n_modalities"]) == ("1", "case_01", "2")


class TestNeighbourhood:
    def test_voxels_up_to_a_distance(self):
        mask = np.zeros((9, 9, 9), bool)
        mask[4, 4, 4] = True
        found = neighbourhood(mask, (1.0, 2.0, 5.0), 4.0)
        assert found.sum(axis=(1, 2)).nonzero()[0].tolist() == list(range(9))
        assert found[4, :, 4].nonzero()[0].tolist() == [2, 3, 4, 5, 6]
        assert found[4, 4].sum() == 1

    def test_nothing_is_near_nothing_and_a_slice_has_two_axes(self):
        assert not neighbourhood(np.zeros((3, 3), bool), (1.0, 1.0), 10.0).any()
        mask = np.zeros((1, 5, 5), bool)
        mask[0, 2, 2] = True
        assert neighbourhood(mask, (math.nan, 1.0, 1.0), 1.0).sum() == 5
