"""One case: all of its files or nothing."""

from __future__ import annotations

import errno
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import brighter_half, phantom_images, target
from PIL import Image

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.cohort import write_case as module
from nnunet_hetero.intake.cohort.records import case_record, transform_file
from nnunet_hetero.intake.cohort.write_case import CaseJob, in_words, remove_case, write_case
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.options import IntakeOptions


@pytest.fixture
def job(moved_input, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "mosaic", lambda *_: np.zeros((2, 2, 3), np.uint8))
    series = find_series(moved_input, target().modalities)
    return CaseJob("Fall ä", tuple(series), moved_input, tmp_path / "out", target(), IntakeOptions(register=False))


def _files(out):
    return sorted(file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file())


def test_what_is_written(taken_in):
    case = "Fall ä"
    written = sitk.ReadImage(str(taken_in / "images" / f"{case}_0001.nii.gz"))
    expected = reoriented(phantom_images()["T1c"], "RAS")
    assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(expected))
    transform = sitk.ReadTransform(str(taken_in / transform_file(case, "FLAIR")))
    assert np.linalg.norm(transform.GetParameters()[3:]) > 5
    with Image.open(taken_in / "qc" / f"{case}.png") as picture:
        assert picture.size[0] > 1000
    assert not [file for file in _files(taken_in) if ".part" in file or file.startswith(".")]


def test_removing_and_doing_again(job):
    record = write_case(job)
    files = _files(job.out)
    assert len(files) == 4 + 4 + 1 + 1
    assert in_words(record, target().modalities.names) == (
        "Fall ä: T1 reference, T1c same grid, T2 same grid, FLAIR resampled"
    )
    assert write_case(job) == record and _files(job.out) == files
    remove_case(job.out, job.case, job.target)
    assert _files(job.out) == []


def test_a_full_disk_leaves_nothing(job, monkeypatch):
    write_case(job)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    monkeypatch.setattr(module, "require_written", full)
    with pytest.raises(OSError, match="No space left"):
        write_case(job)
    assert _files(job.out) == []


def test_what_it_was_made_from(job, tmp_path):
    assert set(job.made_from().sources) == {"T1", "T1c", "T2", "FLAIR"}
    other = CaseJob(job.case, job.series, job.folder, job.out, target(orientation="LPS"), job.options)
    assert job.made_from().difference(other.made_from()) is not None


def test_masks_of_the_case(job, moved_input, tmp_path):
    mask = tmp_path / "brain.nii.gz"
    sitk.WriteImage(brighter_half(phantom_images()["T1"]), str(mask))
    masked = CaseJob(job.case, job.series, job.folder, job.out, target(), IntakeOptions(register=False, mask=str(mask)))
    write_case(masked)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(job.out / "images" / "Fall ä_0000.nii.gz")))
    assert (found > 0).sum() == sitk.GetArrayFromImage(brighter_half(phantom_images()["T1"])).sum() > 1000
    assert case_record(job.out, job.case)["made_from"]["sources"]["mask"]["path"] == str(mask)
    mask.write_text("no image")
    with pytest.raises(DataError, match=r"the mask .* cannot be read"):
        write_case(masked)


def test_a_case_in_a_zip_with_its_mask(tmp_path, monkeypatch):
    """Its name in the table may be another one than that of the zip."""
    monkeypatch.setattr(module, "mosaic", lambda *_: np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "in").mkdir()
    images = {"t1.nii.gz": phantom_images()["T1"], "brain_mask.nii.gz": brighter_half(phantom_images()["T1"])}
    with zipfile.ZipFile(tmp_path / "in/a.zip", "w") as archive:
        for name, image in images.items():
            sitk.WriteImage(image, str(tmp_path / name))
            archive.write(tmp_path / name, f"köpfe/{name}")
    rows = [replace(row, case="other") for row in find_series(tmp_path / "in", target().modalities)]
    options = IntakeOptions(mask="brain_mask.nii.gz")
    job = CaseJob("other", tuple(rows), tmp_path / "in", tmp_path / "out", target(), options)
    write_case(job)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out/images/other_0000.nii.gz")))
    assert (found > 0).sum() == sitk.GetArrayFromImage(images["brain_mask.nii.gz"]).sum() > 1000
    assert job.made_from().sources["mask"]["path"] == str(tmp_path / "in/a.zip")
