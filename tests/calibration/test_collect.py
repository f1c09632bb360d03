"""The records of all cases: what is kept, and which cases are none to calibrate on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.calibrated import calibrate

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.reliability.calibration_file import Calibration


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def test_what_is_there_is_not_measured_again(copied, measured):
    before = Calibration.read(copied.folder / "calibration.json")
    (copied.folder / "calibration" / "collected" / "case_05.json").write_text("{")
    (copied.folder / "calibration" / "collected" / "case_01.json").unlink()
    found = calibrate(copied.folder, level=0.6)
    assert measured == ["case_05", "case_01"]
    assert replace(found.calibration, level=0.5, sha256=before.sha256) == before


class TestRefused:
    def test_fold_all(self, copied):
        (copied.folder / "fold_0").rename(copied.folder / "fold_all")
        with pytest.raises(SettingsError, match="Fold 'all' trained on every case"):
            calibrate(copied.folder, folds="all")

    def test_training_images_as_a_folder(self, copied):
        with pytest.raises(SettingsError, match="is the folder of the training cases"):
            calibrate(copied.folder, images=copied.images, labels=copied.labels)
