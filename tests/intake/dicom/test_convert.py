"""From slices to one NIfTI file."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers.cohorts.dicom_study import TAGS, as_enhanced, edit, oblique_affine, write_series
from helpers.phantoms import phantom
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom import convert as converting
from nnunet_hetero.intake.dicom.convert import convert
from nnunet_hetero.intake.files.tree import folder_tree


@pytest.fixture
def series(tmp_path):
    data = phantom(1)["t2"][:, 4:, 6:18]
    uid = write_series(tmp_path / "in", data, oblique_affine(spacing=(8, 8, 6)), TAGS["t2"])
    return folder_tree(tmp_path / "in"), uid, data


PLANES = {
    "axial": np.eye(3),
    "sagittal": np.eye(3)[:, [1, 2, 0]] * [1, -1, 1],
    "coronal": np.eye(3)[:, [0, 2, 1]] * [1, -1, 1],
}


@pytest.mark.parametrize("plane", [*PLANES, "oblique", "other way"])
def test_voxels_and_places(tmp_path, plane):
    """Each voxel lies where position, direction and edges of its slice put it."""
    data, edges = phantom(1)["t2"][:, 4:, 6:18], (8.0, 7.0, 6.0)
    affine = oblique_affine(spacing=edges)
    if plane in PLANES:
        affine[:3, :3] = PLANES[plane] * edges
    elif plane == "other way":
        affine[:3, 2] *= -1
    uid = write_series(tmp_path / "in", data, affine, TAGS["t2"])
    image = sitk.ReadImage(str(convert(folder_tree(tmp_path / "in"), uid, tmp_path / "scratch")))
    found = np.zeros_like(data)
    for index in np.ndindex(data.shape):
        point = affine[:3, :3] @ index + affine[:3, 3]
        found[index] = image[image.TransformPhysicalPointToIndex([float(value) for value in point])]
    assert np.array_equal(found, data) and data.any()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, DeflatedExplicitVRLittleEndian])
def test_compressed_slices(series, tmp_path, syntax):
    tree, uid, data = series
    for name in tree.names:
        dataset = pydicom.dcmread(tree.root / name)
        if syntax == DeflatedExplicitVRLittleEndian:
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax)
        dataset.save_as(tree.root / name)
    image = sitk.ReadImage(str(convert(tree, uid, tmp_path / "scratch")))
    assert sitk.GetArrayFromImage(image).sum() == data.sum()


def test_files_without_a_preamble(series, tmp_path):
    tree, uid, data = series
    for name in tree.names:
        (tree.root / name).write_bytes((tree.root / name).read_bytes()[132:])
    image = sitk.ReadImage(str(convert(tree, uid, tmp_path / "scratch")))
    assert sitk.GetArrayFromImage(image).sum() == data.sum()


def test_scaled_values(tmp_path):
    """Of CT, values in Hounsfield units."""
    data, tags = phantom(1)["t2"][:, :, 10:14], {"Modality": "CT", "RescaleSlope": 2, "RescaleIntercept": -1000}
    uid = write_series(tmp_path / "in", data, oblique_affine(), tags)
    image = sitk.ReadImage(str(convert(folder_tree(tmp_path / "in"), uid, tmp_path / "scratch")))
    values = sitk.GetArrayFromImage(image)
    assert (values.min(), values.max()) == (-1000, 2 * int(data.max()) - 1000)


def test_an_enhanced_object(series, tmp_path):
    tree, uid, _ = series
    plain = sitk.ReadImage(str(convert(tree, uid, tmp_path / "plain")))
    uid = as_enhanced(tree.root, order=(3, 1, 0, 2, *range(4, 12)))
    image = sitk.ReadImage(str(convert(folder_tree(tree.root), uid, tmp_path / "scratch")))
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(plain))
    assert np.allclose(image.GetOrigin(), plain.GetOrigin(), atol=1e-3)


@pytest.mark.parametrize("slices", [2, 3, 4, 5, 8])
def test_few_slices_that_were_acquired_interleaved(tmp_path, slices):
    data = phantom(1)["t2"][:, :, 10 : 10 + slices]
    uid = write_series(tmp_path / "in", data, oblique_affine(), TAGS["t2"])
    image = sitk.ReadImage(str(convert(folder_tree(tmp_path / "in"), uid, tmp_path / "scratch")))
    assert np.array_equal(sitk.GetArrayFromImage(image), data.transpose(2, 1, 0)[:, ::-1])


def test_a_slice_that_is_cut_short(series, tmp_path):
    tree, uid, _ = series
    file = tree.root / tree.names[4]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"IM0005\.dcm (is cut short|cannot be read to its end)"):
        convert(tree, uid, tmp_path / "scratch")


def test_a_slice_without_voxels(series, tmp_path):
    tree, uid, _ = series
    edit(tree.root / tree.names[4], remove=("PixelData",))
    with pytest.raises(DataError, match=r"IM0005\.dcm has no voxels\. Copy or export it again"):
        convert(tree, uid, tmp_path / "scratch")


def test_a_series_that_is_gone(series, tmp_path):
    tree, uid, _ = series
    shutil.rmtree(tree.root)
    with pytest.raises(DataError, match=f"no series {uid} any more"):
        convert(folder_tree(tmp_path), uid, tmp_path / "scratch")


def test_what_dcm2niix_could_do_wrong(series, tmp_path, monkeypatch):
    tree, uid, _ = series
    run = subprocess.run

    def shifted(command, **options):
        done = run(command, **options)
        file = next(folder for folder in command if str(folder).endswith("converted")) + "/image.nii"
        image = sitk.ReadImage(file)
        image.SetOrigin([value + 1 for value in image.GetOrigin()])
        sitk.WriteImage(image, file)
        return done

    monkeypatch.setattr(converting.subprocess, "run", shifted)
    with pytest.raises(DataError, match=r"dcm2niix puts the series elsewhere .* up to 1\.73 mm apart"):
        convert(tree, uid, tmp_path / "scratch")
    nothing = subprocess.CompletedProcess([], 2, "", "no memory")
    monkeypatch.setattr(converting.subprocess, "run", lambda command, **options: nothing)
    with pytest.raises(DataError, match=r"made 0 images .*exit code 2: no memory"):
        convert(tree, uid, tmp_path / "scratch2")
