"""Labelled cases that are copies of cases that the model has trained on."""

from __future__ import annotations

import shutil

import pytest
import SimpleITK as sitk
from helpers.calibrated import calibrate
from helpers.evaluation import evaluate
from helpers.tiny_model import CHANNELS, write_case

from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase
from nnunet_hetero.evaluation.sweep.training_copies import copies_of_training
from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(CHANNELS)


@pytest.fixture(autouse=True)
def model(nnunet_folders):
    return nnunet_folders


@pytest.fixture
def copy(model, tmp_path):
    """Copies a case of the data set under another name, with its label map and some of its images."""

    def made(case: str, name: str, channels=(0, 1, 2, 3)) -> None:
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for channel in channels:
            image = f"{case}_{channel:04d}.nii.gz"
            shutil.copy(model.images / image, tmp_path / "images" / image.replace(case, name))
        shutil.copy(model.labels / f"{case}.nii.gz", tmp_path / "labels" / f"{name}.nii.gz")

    return made


@pytest.fixture
def found(model, tmp_path):
    """The copies among the cases of ``images``, for folds; fold 0 trains on all cases but case_00 and case_05."""

    def look(*folds) -> dict[str, str]:
        cases = find_cases(tmp_path / "images", MODALITIES, ".nii.gz")
        return copies_of_training([LabelledCase(case, "") for case in cases], model.dataset, folds)

    return look


def test_a_copy_of_a_training_case_is_known_whatever_its_name(copy, found, tmp_path):
    copy("case_01", "new")
    copy("case_02", "flair_alone", channels=[3])
    copy("case_00", "of_validation")
    write_case(tmp_path / "images", "other", seed=99)
    assert found(0) == {"new": "case_01", "flair_alone": "case_02"}
    assert found(0, 1) == found("all") == {**found(0), "of_validation": "case_00"}


@pytest.mark.parametrize(
    "change",
    [
        lambda image: sitk.Cast(image, sitk.sitkFloat64),
        lambda image: reoriented(image, "PIR"),
        lambda image: sitk.DICOMOrient(image, "ASL"),
    ],
    ids=["type", "turned", "turned_by_itk"],
)
def test_a_copy_that_was_saved_anew_is_known(copy, found, tmp_path, change):
    copy("case_01", "new")
    for file in (tmp_path / "images").iterdir():
        sitk.WriteImage(change(sitk.ReadImage(str(file))), str(file), useCompression=True, compressionLevel=1)
    assert found(0) == {"new": "case_01"}


def test_another_image_on_the_same_grid_is_no_copy(copy, found, tmp_path):
    copy("case_01", "new")
    file = tmp_path / "images" / "new_0003.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(file)) * 1.01, str(file))
    assert found(0) == {}
    file.write_bytes(b"no image")
    assert found(0) == {}


def test_one_image_that_two_cases_share_makes_no_copy(copy, found, model, tmp_path):
    """As the zero volumes that stand for absent modalities do."""
    write_case(tmp_path / "images", "other", seed=99)
    shutil.copy(model.images / "case_01_0000.nii.gz", tmp_path / "images" / "other_0000.nii.gz")
    assert found(0) == {}


def test_of_a_model_whose_training_is_elsewhere_nothing_is_known(copy, found, tmp_path, monkeypatch):
    copy("case_01", "new")
    assert found(7) == {}
    for variable in ("nnUNet_preprocessed", "nnUNet_raw"):
        monkeypatch.delenv(variable)
        assert found(0) == {}
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "nowhere"))
    assert found(0) == {}


def test_who_evaluates_training_cases_as_others_is_told(copy, model, tmp_path, capsys):
    copy("case_01", "new")
    write_case(tmp_path / "images", "other", seed=99, labels=tmp_path / "labels")
    where = {"images": tmp_path / "images", "labels": tmp_path / "labels", "output": tmp_path / "out"}
    evaluate(model, 0, subsets=["T1"], **where)
    said = "such as 'new' those of 'case_01'. Their scores say how well the model remembers"
    assert f"WARNING: 1 of 2 case(s) have the images of cases that the model was trained on, {said}" in (
        capsys.readouterr().out
    )


def test_a_copy_does_not_calibrate_and_the_others_do(copy, model, tmp_path):
    shutil.copytree(model.folder, tmp_path / "model")
    copy("case_01", "new")
    write_case(tmp_path / "images", "other", seed=99, labels=tmp_path / "labels")
    where = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    result = calibrate(tmp_path / "model", folds=0, **where)
    assert list(result.failed) == ["new"] and "training case 'case_01'" in result.failed["new"]
    assert {row["case"] for row in result.rows} == {"other"}
