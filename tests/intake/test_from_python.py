"""A case from Python: files or images in, results back."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import moved_case, phantom_images

from nnunet_hetero import PreparedCase, prepare_case
from nnunet_hetero.errors import DataError, SettingsError


def test_files_and_images(tiny_model, tmp_path):
    file = tmp_path / "t1 Ä.nii.gz"
    sitk.WriteImage(phantom_images()["T1"], str(file))
    flair = moved_case()["FLAIR"]
    found = prepare_case({"t1": file, "flair": flair}, tiny_model.folder, keep_background=True)
    assert isinstance(found, PreparedCase) and sorted(found.images) == ["FLAIR", "T1"]
    assert found.fates["FLAIR"].became == "registered"
    back = found.restore(np.ones_like(found.arrays["T1"], dtype=np.uint8), to="FLAIR")
    assert back.GetSize() == flair.GetSize() and sitk.GetArrayFromImage(back).mean() > 0.8
    assert found.restore_map(found.images["FLAIR"]).GetSize() == phantom_images()["T1"].GetSize()


def test_what_cannot_be_used(tiny_model, tmp_path):
    image = phantom_images()["T1"]
    with pytest.raises(SettingsError, match="Unknown modality 'T9'"):
        prepare_case({"T9": image}, tiny_model.folder)
    with pytest.raises(DataError, match="No image is given"):
        prepare_case({}, tiny_model.folder)
    with pytest.raises(DataError, match="has 2 axes"):
        prepare_case({"T1": image[:, :, 3]}, tiny_model.folder)
    spoilt = sitk.Cast(image, sitk.sitkFloat32)
    spoilt[3, 4, 5] = float("nan")
    with pytest.raises(DataError, match=r"Case 'x', T1 has 1 voxel.*\(3, 4, 5\) is nan"):
        prepare_case({"T1": spoilt}, tiny_model.folder, case="x")
    with pytest.raises(DataError, match=r"Case 'case', T1: .*no\.nii\.gz is not there"):
        prepare_case({"T1": tmp_path / "no.nii.gz"}, tiny_model.folder)
    with pytest.raises(DataError, match="is a folder, not a file"):
        prepare_case({"T1": tmp_path}, tiny_model.folder)
    with pytest.raises(DataError, match="T1 is given as ndarray; expected is a file or a SimpleITK image"):
        prepare_case({"T1": sitk.GetArrayFromImage(image)}, tiny_model.folder)
    with pytest.raises(DataError, match="mask is given as ndarray"):
        prepare_case({"T1": image}, tiny_model.folder, mask=sitk.GetArrayFromImage(image))
    elsewhere = tmp_path / "elsewhere.nii.gz"
    sitk.WriteImage((image > 0)[1:], elsewhere)
    with pytest.raises(DataError, match=r"Case 'x': the mask .*elsewhere\.nii\.gz lies on the grid of none"):
        prepare_case({"T1": image}, tiny_model.folder, mask=elsewhere, case="x")
    with pytest.raises(DataError, match="Case 'x': the mask that is given lies on the grid of none"):
        prepare_case({"T1": image}, tiny_model.folder, mask=(image > 0)[1:], case="x")
