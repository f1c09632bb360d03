"""The records of all cases: what is kept, and which cases are none to calibrate on."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import SimpleITK as sitk
from helpers.calibrated import calibrate
from helpers.tiny_model import write_case

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError, SettingsError
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


def test_regions_that_were_renamed_are_measured_anew(copied, measured):
    """What is kept of each case has the names of before."""
    file = copied.folder / "dataset.json"
    file.write_text(file.read_text().replace('"tumor core"', '"core"'))
    found = calibrate(copied.folder, folds=1)
    assert measured == ["case_01"] and found.calibration.regions == ["whole tumor", "core", "enhancing tumor"]


@pytest.fixture
def patients(copied, tmp_path, monkeypatch):
    """Writes cases.csv of a copy of the raw data set."""
    shutil.copytree(copied.raw, tmp_path / "raw")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))

    def write(text: str) -> None:
        (tmp_path / "raw" / copied.dataset / "cases.csv").write_text(f"case,patient\n{text}")

    return write


class TestAPatientWhomTheFoldHasTrainedOn:
    """Fold 0 validates on case_00 and case_05, fold 1 on case_01; each trains on all others."""

    @pytest.mark.parametrize("folds", [0, None], ids=["one fold", "all folds"])
    def test_does_not_count_and_is_not_predicted(self, copied, patients, measured, folds):
        shutil.rmtree(copied.folder / "calibration")
        patients("case_00,p\ncase_01,p\n")
        found = calibrate(copied.folder, folds=folds)
        assert found.left_out == ["p"] and measured == ["case_05"] and found.calibration.patients == 1

    def test_counts_no_less_if_the_other_scan_is_of_no_calibrated_fold(self, copied, patients):
        patients("case_05,p\ncase_04,p\n")
        assert calibrate(copied.folder).left_out == ["p"]

    def test_if_it_is_all_of_them_the_error_says_so(self, copied, patients):
        patients("".join(f"case_0{number},p\n" for number in range(6)))
        with pytest.raises(DataError, match=r"No case is left.*\n.*1 patient\(s\) do not count: p\. .*splits"):
            calibrate(copied.folder)

    def test_cases_that_the_table_does_not_name_are_told(self, copied, patients):
        patients("case_0,p\ncase_05,p\n")
        assert calibrate(copied.folder, folds=0).without_row == ["case_00"]

    def test_two_scans_in_one_fold_are_one_patient(self, copied, patients):
        patients("case_00,p\ncase_05,p\n")
        found = calibrate(copied.folder)
        assert found.left_out == [] and found.calibration.patients == 2


@pytest.mark.parametrize("of_training", [True, False], ids=["imagesTr", "a labelled folder"])
def test_a_case_that_is_stored_in_another_orientation_is_the_same_case(copied, tmp_path, monkeypatch, of_training):
    where = {}
    if of_training:
        shutil.copytree(copied.raw, tmp_path / "raw")
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
        images, labels = (tmp_path / "raw" / copied.dataset / name for name in ("imagesTr", "labelsTr"))
    else:
        where = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
        write_case(where["images"], "case_05", seed=33, labels=where["labels"])
        images, labels = where.values()
    as_trained = calibrate(copied.folder, folds=0, **where)
    for file in (*images.glob("case_05_*"), labels / "case_05.nii.gz"):
        sitk.WriteImage(reoriented(sitk.ReadImage(str(file)), "SAR"), str(file))
    turned = calibrate(copied.folder, folds=0, **where)
    assert not turned.failed and len(turned.rows) == len(as_trained.rows)
    for one, other in zip(as_trained.rows, turned.rows, strict=True):
        assert one == pytest.approx(other)
    assert [record.voxels for record in as_trained.records] == [record.voxels for record in turned.records]


class TestRefused:
    def test_validation_cases_that_the_training_did_not_validate_on(self, copied, tmp_path, monkeypatch):
        """Other splits than in the training: the fold may have trained on its validation cases of now."""
        folder = copied.folder / "fold_1" / "validation"
        folder.mkdir()
        for name in ("case_02.nii.gz", "case_03.nii.gz", "summary.json"):
            (folder / name).touch()
        with pytest.raises(SettingsError, match=r"not that of the training: 1 validation case.* 'case_01', .* the 2 "):
            calibrate(copied.folder)
        (folder / "summary.json").unlink()  # an interrupted validation tells nothing
        assert calibrate(copied.folder).calibration.patients == 3

    def test_fold_all(self, copied):
        (copied.folder / "fold_0").rename(copied.folder / "fold_all")
        with pytest.raises(SettingsError, match="Fold 'all' trained on every case"):
            calibrate(copied.folder, folds="all")

    def test_training_images_as_a_folder(self, copied):
        with pytest.raises(SettingsError, match="is the folder of the training cases"):
            calibrate(copied.folder, images=copied.images, labels=copied.labels)
