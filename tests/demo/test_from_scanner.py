"""A case as a scanner would deliver it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.cases.orientation import orientation_of, reoriented
from nnunet_hetero.dataset_conversion.phantom import write_cohort
from nnunet_hetero.demo.from_scanner import ARRIVED, ON_ITS_SIDE, SHIFT, arrival, motion, picture, write_arrival
from nnunet_hetero.demo.sections import DemoFiles


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    (case,) = write_cohort(folder, 1, 24, seed=1, progress=False)
    return folder / case


def read(raw: Path, ending: str) -> sitk.Image:
    return sitk.ReadImage(str(raw / f"{raw.name}_{ending}.nii.gz"))


def test_what_arrives(raw, tmp_path):
    write_arrival(raw, tmp_path)
    images = {
        name: sitk.ReadImage(str(tmp_path / raw.name / f"{raw.name}_{end}.nii.gz")) for name, end in ARRIVED.items()
    }
    assert {orientation_of(image) for image in images.values()} == {ON_ITS_SIDE}
    assert len([*(tmp_path / raw.name).iterdir()]) == 3
    before = read(raw, "t1ce")
    same = sitk.GetArrayFromImage(reoriented(images["T1c"], orientation_of(before)))
    assert np.array_equal(same, sitk.GetArrayFromImage(before))
    # Undone, the FLAIR lies where it was but for what another grid blurs.
    before = read(raw, "flair")
    back = sitk.Resample(images["FLAIR"], before, motion(before).GetInverse(), sitk.sitkLinear)
    moved = sitk.Resample(images["FLAIR"], before, sitk.Transform(), sitk.sitkLinear)
    values, undone, as_it_came = (
        sitk.GetArrayFromImage(image).ravel().astype(float) for image in (before, back, moved)
    )
    assert np.corrcoef(values, undone)[0, 1] > 0.95 > 0.9 > np.corrcoef(values, as_it_came)[0, 1]


def test_the_motion_is_about_the_middle(raw):
    image = read(raw, "flair")
    middle = image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()])
    assert np.allclose(np.subtract(motion(image).TransformPoint(middle), middle), SHIFT)


def test_what_the_report_says_of_it(raw, tmp_path):
    """A perfect result has a Dice of 1; raw labels are those of the data set then."""
    labels = read(raw, "seg")
    as_trained = sitk.GetImageFromArray(
        np.where(sitk.GetArrayFromImage(labels) == 4, 3, sitk.GetArrayFromImage(labels))
    )
    as_trained.CopyInformation(labels)
    case, subset = raw.name, "+".join(ARRIVED)
    files = DemoFiles(tmp_path, tmp_path / "test", ["T1", "T1c", "T2", "FLAIR"])
    for folder in ("test/labelsTr", f"evaluation/predictions/{subset}", f"returned/{case}", "intake/qc"):
        (tmp_path / folder).mkdir(parents=True)
    sitk.WriteImage(as_trained, str(tmp_path / f"test/labelsTr/{case}.nii.gz"))
    sitk.WriteImage(as_trained * 0, str(tmp_path / f"evaluation/predictions/{subset}/{case}.nii.gz"))
    returned = reoriented(as_trained, ON_ITS_SIDE)
    sitk.WriteImage(returned, str(tmp_path / f"returned/{case}/segmentation_on_T1c.nii.gz"))
    sitk.WriteImage(sitk.Image(30, 20, sitk.sitkUInt8), str(tmp_path / f"intake/qc/{case}.png"))
    with (tmp_path / "intake/intake.csv").open("w", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("modality", "shift_mm", "degrees"), ("FLAIR", "11.6", "11.5")])
    figure, (title, rows, note) = arrival(files, raw)
    assert title == "A case from the scanner" and "by 11.9 mm before the FLAIR" in note and "11.6 mm and 11.5°" in note
    assert [row[1:] for row in rows[1:]] == [["0.000"] * 3, ["1.000"] * 3]
    assert figure.get_size_inches().tolist() == [0.3, 0.2]


def test_a_picture_keeps_its_shape(tmp_path):
    sitk.WriteImage(sitk.Image(50, 20, sitk.sitkUInt8), str(tmp_path / "a.png"))
    assert picture(tmp_path / "a.png").get_size_inches().tolist() == [0.5, 0.2]
