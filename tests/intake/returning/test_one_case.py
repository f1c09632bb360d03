"""The results of one case where its images lay."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import REGIONS, brighter_half, dice, motion, moved_labels, phantom_images, target

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.output.run_record import record_cases
from nnunet_hetero.intake.cohort.records import case_record
from nnunet_hetero.intake.cohort.run import proposed_series, take_in
from nnunet_hetero.intake.options import IntakeOptions
from nnunet_hetero.intake.returning.one_case import ALL, REFERENCE, ReturnJob, return_case
from nnunet_hetero.intake.returning.results import find_results
from nnunet_hetero.io.provenance import Provenance

CASE = "Fall ä"


@pytest.fixture
def job(taken_in, tmp_path):
    """Makes a job; the prediction is the truth, and a map beside it."""
    out, predictions = shutil.copytree(taken_in, tmp_path / "out"), tmp_path / "pred"
    (predictions / "uncertainty").mkdir(parents=True)
    sitk.WriteImage(reoriented(phantom_images()["seg"], "RAS"), str(predictions / f"{CASE}.nii.gz"))
    sitk.WriteImage(
        sitk.Cast(reoriented(phantom_images()["T2"], "RAS"), sitk.sitkFloat32),
        str(predictions / "uncertainty" / f"{CASE}_entropy_core.nii.gz"),
    )

    def make(to: str) -> ReturnJob:
        results = find_results(predictions, [CASE], ["T1", "T1c", "T2", "FLAIR"], ".nii.gz")[CASE]
        return ReturnJob(out, case_record(out, CASE), results, tmp_path / "back", to, REGIONS, predictions, tmp_path)

    return make


def _read(file):
    return sitk.ReadImage(str(file))


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (float("nan"), r"has 1 voxel\(s\) that are NaN or infinite .* is nan\. Predict the case again\.$"),
        (1.5, "has the values 1.5; the model's labels are 0, 1, 2"),
        (9.0, "has the values 9; the model's labels are 0, 1, 2"),
    ],
)
def test_values_that_are_none_of_the_models_labels(job, tmp_path, value, finding):
    file = job(REFERENCE).results.label_map
    image = sitk.Cast(_read(file), sitk.sitkFloat32)
    image[3, 3, 3] = value
    sitk.WriteImage(image, str(file))
    with pytest.raises(DataError, match=rf"Case '{CASE}': .* {finding}"):
        return_case(job(REFERENCE))
    assert not list((tmp_path / "back").rglob("*.nii.gz"))


def test_a_map_with_a_voxel_that_is_no_number(job):
    file = job(REFERENCE).results.maps["entropy_core"]
    image = _read(file)
    image[3, 3, 3] = float("nan")
    sitk.WriteImage(image, str(file))
    with pytest.raises(DataError, match=rf"Case '{CASE}': .*entropy_core.* NaN .* Predict the case again\.$"):
        return_case(job(REFERENCE))


def test_a_transform_that_is_gone(job):
    (job(REFERENCE).intake / "transforms" / CASE / "T1.tfm").unlink()
    with pytest.raises(DataError, match=r"T1\.tfm is gone"):
        return_case(job(REFERENCE))


def test_on_all_images(job, tmp_path):
    volumes = return_case(job(ALL))
    folder = tmp_path / "back" / CASE
    names = [
        f"{what}_on_{name}.nii.gz" for name in ("FLAIR", "T1", "T1c", "T2") for what in ("entropy_core", "segmentation")
    ]
    assert sorted(file.name for file in folder.iterdir()) == sorted([*names, "return.json"])
    on_reference = _read(folder / "segmentation_on_T1.nii.gz")
    assert np.array_equal(sitk.GetArrayFromImage(on_reference), sitk.GetArrayFromImage(phantom_images()["seg"]))
    truth = moved_labels(phantom_images()["seg"], motion(phantom_images()["FLAIR"]))
    assert dice(_read(folder / "segmentation_on_FLAIR.nii.gz"), truth) > 0.93
    entropy = sitk.GetArrayFromImage(_read(folder / "entropy_core_on_T1.nii.gz"))
    assert np.allclose(entropy, sitk.GetArrayFromImage(phantom_images()["T2"]), atol=0.01)
    by_place = {(one.to, one.region): one for one in volumes}
    same, other = by_place["T1", "whole tumor"], by_place["FLAIR", "whole tumor"]
    assert same.before == same.after == other.before > 0
    assert other.after == pytest.approx(other.before, rel=0.05) and other.after != other.before


def test_on_one_image(job, tmp_path):
    assert {one.to for one in return_case(job(REFERENCE))} == {"T1"}
    assert {one.to for one in return_case(job("FLAIR"))} == {"FLAIR"}
    # Only what was asked for last is there.
    names = sorted(file.name for file in (tmp_path / "back" / CASE).iterdir())
    assert names == ["entropy_core_on_FLAIR.nii.gz", "return.json", "segmentation_on_FLAIR.nii.gz"]
    with pytest.raises(SettingsError, match="has no image of PET; it has T1, T1c, T2, FLAIR"):
        return_case(job("PET"))


def test_no_prediction(job, tmp_path):
    (tmp_path / "pred" / f"{CASE}.nii.gz").unlink()
    with pytest.raises(DataError, match=f"Case '{CASE}' has no label map"):
        return_case(job(ALL))
    assert not (tmp_path / "back").exists()


def test_a_prediction_of_other_images(job, tmp_path):
    image = tmp_path / "out" / "images" / f"{CASE}_0000.nii.gz"
    made_from = Provenance.of({"T1": image}, {})
    record_cases(tmp_path / "pred", [(CASE, {}, {"made_from": made_from.to_json()})])
    return_case(job(REFERENCE))
    image.touch()
    with pytest.raises(DataError, match=r"was predicted from another .* than the one that is there now"):
        return_case(job(REFERENCE))


def test_damage(job, tmp_path):
    (tmp_path / "pred" / f"{CASE}.nii.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read"):
        return_case(job(REFERENCE))
    (tmp_path / "out" / "transforms" / CASE / "T1.tfm").write_text("x")
    with pytest.raises(DataError, match=r"the transform .* cannot be read"):
        return_case(job(REFERENCE))


def test_another_label_map_beside_it(job, tmp_path):
    """ITK would take the voxels of that one."""
    (tmp_path / "pred" / f"{CASE}.nii").write_bytes(b"x")
    with pytest.raises(DataError, match=rf"Case '{CASE}': .* has {CASE}\.nii beside it"):
        return_case(job(REFERENCE))


def test_dicom_segmentations(study, tmp_path):
    """Of the images that were DICOM series; each refers to its own."""
    pytest.importorskip("highdicom")  # no wheels for Python 3.14
    out, predictions = tmp_path / "out", tmp_path / "pred"
    series = proposed_series(study, out, target(), None)
    take_in(series, study, out, target(), IntakeOptions(register=False))
    record = case_record(out, "Fall 1")
    image = _read(out / record["images"]["T1c"]["file"])
    predictions.mkdir()
    sitk.WriteImage(sitk.Cast(brighter_half(image), sitk.sitkUInt8) * 3, str(predictions / "Fall 1.nii.gz"))
    results = find_results(predictions, ["Fall 1"], ["T1", "T1c", "T2", "FLAIR"], ".nii.gz")["Fall 1"]
    job = ReturnJob(out, record, results, tmp_path / "back", ALL, REGIONS, predictions, study, dicom_seg=True)
    return_case(job)
    names = sorted(file.name for file in (tmp_path / "back" / "Fall 1").glob("*.dcm"))
    assert names == [f"segmentation_on_{name}.dcm" for name in ("FLAIR", "T1c", "T2")]
    for name in ("FLAIR", "T1c", "T2"):
        written = pydicom.dcmread(tmp_path / "back" / "Fall 1" / f"segmentation_on_{name}.dcm")
        (referenced,) = written.ReferencedSeriesSequence
        assert record["images"][name]["source"].endswith(f"#{referenced.SeriesInstanceUID}")
        assert [segment.SegmentLabel for segment in written.SegmentSequence] == list(REGIONS)
    nifti = ReturnJob(out, record, results, tmp_path / "back", "T1c", REGIONS, predictions, tmp_path, dicom_seg=True)
    with pytest.raises(DataError):  # the series is not there any more
        return_case(nifti)
