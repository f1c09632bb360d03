"""Images as they are read, whatever they are stored as."""

from __future__ import annotations

import gzip
import shutil
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.dicom_study import oblique_affine
from helpers.phantoms import phantom

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.opening import frame_of_reference, opened
from nnunet_hetero.intake.series import Series
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


@pytest.fixture
def image():
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetOrigin((1, 2, 3))
    image.SetSpacing((1, 2, 0.5))
    return image


def row(source: str) -> Series:
    return Series("a", source, "T1", "sure", "")


def read(tmp_path, source: str) -> sitk.Image:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return opened(row(source), tmp_path, tmp_path / "scratch")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ", ".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("zipped", [False, True])
def test_formats(tmp_path, image, ending, zipped):
    (tmp_path / "ä b").mkdir()
    sitk.WriteImage(image, str(tmp_path / f"ä b/t1{ending.lower()}"))
    if ending != ending.lower():
        (tmp_path / f"ä b/t1{ending.lower()}").rename(tmp_path / f"ä b/t1{ending}")
    source = f"ä b/t1{ending}"
    if zipped:
        shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "ä b")
        shutil.rmtree(tmp_path / "ä b")
        source = f"all.zip#{source}"
    found = read(tmp_path, source)
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))
    assert found.GetSpacing() == image.GetSpacing() and found.GetOrigin() == image.GetOrigin()
    assert frame_of_reference(row(source), tmp_path) is None


def bad_values(image):
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    array[0, 1, 2] = np.nan
    return sitk.GetImageFromArray(array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: sitk.JoinSeries([image, image]), r"has 4 axes, of sizes \(4, 3, 2, 2\); expected is one 3D"),
        (lambda image: image[:, :, 0], "has 2 axes"),
        (lambda image: sitk.Compose(image, image, image), "has 3 values per voxel"),
        (bad_values, r"NaN or infinite .* voxel \(2, 1, 0\)"),
    ],
)
def test_what_is_no_image(tmp_path, image, change, message):
    sitk.WriteImage(change(image), str(tmp_path / "t1.nii.gz"))
    with pytest.raises(DataError, match=rf"Case 'a', t1\.nii\.gz.*{message}"):
        read(tmp_path, "t1.nii.gz")


def test_one_volume_of_four_axes(tmp_path, image):
    sitk.WriteImage(sitk.JoinSeries([image]), str(tmp_path / "t1.nii.gz"))
    assert read(tmp_path, "t1.nii.gz").GetSize() == image.GetSize()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_file_that_is_cut_short(tmp_path, image, ending):
    file = tmp_path / f"t1{ending}"
    sitk.WriteImage(image, str(file))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="Case 'a'"):
        read(tmp_path, file.name)


def test_what_is_not_what_its_name_says(tmp_path, image):
    (tmp_path / "t1.nii.gz").write_bytes(gzip.compress(b"no image at all"))
    with pytest.raises(DataError, match=r"Case 'a'.*damaged"):
        read(tmp_path, "t1.nii.gz")
    with pytest.raises(DataError, match="not there any more"):
        read(tmp_path, "t2.nii.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(DataError, match="not in the zip any more"):
        read(tmp_path, "a.zip#t1.nii.gz")


@pytest.mark.parametrize("factor", [1000, 1e-4])
def test_a_header_that_counts_in_other_units(tmp_path, image, factor):
    image.SetSpacing([edge * factor for edge in image.GetSpacing()])
    sitk.WriteImage(image, str(tmp_path / "t1.nii.gz"))
    with pytest.raises(DataError, match=r"t1\.nii\.gz is .* mm large, by its header; expected is a part of a body"):
        read(tmp_path, "t1.nii.gz")


def test_two_files_that_readers_mix(tmp_path, image):
    for ending in (".nii", ".nii.gz"):
        sitk.WriteImage(image, str(tmp_path / f"t1{ending}"))
    with pytest.raises(DataError, match="beside it"):
        read(tmp_path, "t1.nii.gz")


def test_a_dicom_series(study, tmp_path):
    """Every voxel is where the scanner put it."""
    rows = {row.modality: row for row in find_series(study, BRATS)}
    image = opened(rows["T2"], study, tmp_path)
    expected, affine = phantom(1)["t2"], oblique_affine()
    for index in np.argwhere(expected)[::500]:
        place = image.TransformPhysicalPointToIndex([float(value) for value in affine[:3, :3] @ index + affine[:3, 3]])
        assert image[place] == expected[tuple(index)]
    assert frame_of_reference(rows["T2"], study) == frame_of_reference(rows["FLAIR"], study) != ""


def test_a_dicom_series_in_a_zip(study, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.make_archive(str(tmp_path / "in/Fall 1"), "zip", study / "Fall 1")
    zipped = {row.modality: row for row in find_series(tmp_path / "in", BRATS)}
    plain = {row.modality: row for row in find_series(study, BRATS)}
    images = []
    for rows, folder in ((zipped, tmp_path / "in"), (plain, study)):
        (tmp_path / folder.name).mkdir(exist_ok=True)
        scratch = tmp_path / "scratch" / folder.name
        scratch.mkdir(parents=True)
        images.append(sitk.GetArrayFromImage(opened(rows["T1c"], folder, scratch)))
        assert frame_of_reference(rows["T1c"], folder)
    assert np.array_equal(*images)
