"""The files for 3D Slicer and ITK-SNAP, read back by SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.looking.viewed import ball, write_viewed

from nnunet_hetero.viewer.case_folder import CaseFolder
from nnunet_hetero.viewer.slicer import write_scenes


@pytest.fixture(params=["LPS", "RAI", "PIR"])
def scene(request, tmp_path):
    files = write_viewed(tmp_path, orientation=request.param)
    assert write_scenes(CaseFolder(files.output, files.images, files.labels), ["a"], tmp_path / "scene") == {}
    return files, tmp_path / "scene" / "a"


def test_all_files(scene):
    assert sorted(file.name for file in scene[1].iterdir()) == [
        "FLAIR.nii.gz",
        "T1.nii.gz",
        "T1c_completed_synthetic.nii.gz",
        "T2.nii.gz",
        "labels.label",
        "labels.nii.gz",
        "regions.seg.nrrd",
        "truth.seg.nrrd",
    ]


def test_the_segmentation_lies_on_the_label_map(scene):
    files, folder = scene
    label_map, regions = (
        sitk.ReadImage(str(files.output / "a.nii.gz")),
        sitk.ReadImage(str(folder / "regions.seg.nrrd")),
    )
    assert regions.GetNumberOfComponentsPerPixel() == 3
    for name in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(regions, name)() == pytest.approx(getattr(label_map, name)(), abs=1e-4)
    masks, labels = sitk.GetArrayFromImage(regions), sitk.GetArrayFromImage(label_map)
    for number, values in enumerate(([1, 2, 3], [2, 3], [3])):
        assert (masks[..., number].astype(bool) == np.isin(labels, values)).all()
    assert masks[..., 1].sum() == ball(5).sum()
    assert regions.GetMetaData("Segment1_Name") == "tumor core"
    assert "SCT^108369006^Neoplasm" in regions.GetMetaData("Segment0_Tags")
    assert regions.GetMetaData("Segment0_Color").split()[0] == f"{0x56 / 255:.4f}"


def test_images_stay_where_they_are(scene):
    files, folder = scene
    before, after = sitk.ReadImage(str(files.images / "a_0000.nii.gz")), sitk.ReadImage(str(folder / "T1.nii.gz"))
    assert (sitk.GetArrayFromImage(before) == sitk.GetArrayFromImage(after)).all()
    assert after.GetDirection() == pytest.approx(before.GetDirection(), abs=1e-4)


def test_labels_for_itk_snap(scene):
    lines = (scene[1] / "labels.label").read_text().splitlines()
    assert [line.split('"')[1] for line in lines] == ["background", "whole tumor", "tumor core", "enhancing tumor"]
    assert lines[1].startswith("1 86 180 233 1 1 1 ")
