"""The converter on real BraTS data, where HETERO_BRATS_DIR names a raw BraTS folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.dataset_conversion.brats import convert_brats, find_brats2018_cases

BRATS = os.environ.get("HETERO_BRATS_DIR")


@pytest.mark.skipif(not BRATS, reason="set HETERO_BRATS_DIR to a raw BraTS folder to test on real data")
def test_real_cases_arrive_as_they_are(tmp_path, nnunet_raw):
    assert BRATS is not None
    cases = [case for case in find_brats2018_cases(BRATS).cases if case.problem is None and case.label][:3]
    assert cases, f"no complete case in {BRATS}"
    (tmp_path / "raw").mkdir()
    for case in cases:
        assert case.label is not None
        (tmp_path / "raw" / case.name).symlink_to(Path(case.label).parent.resolve(), target_is_directory=True)

    summary = convert_brats(tmp_path / "raw", 501, processes=1, progress=False)

    assert summary.failures == {}
    assert summary.training == [case.name for case in cases]
    for case in cases:
        targets = [summary.folder / "imagesTr" / f"{case.name}_{channel:04d}.nii.gz" for channel in range(4)]
        targets.append(summary.folder / "labelsTr" / f"{case.name}.nii.gz")
        for source, target in zip((*case.images, case.label), targets, strict=True):
            if source is None:
                continue
            before, after = sitk.ReadImage(str(source)), sitk.ReadImage(str(target))  # nnU-Net's reader
            voxels = sitk.GetArrayFromImage(before)
            if source == case.label:
                voxels = np.where(voxels == 4, 3, voxels)
            np.testing.assert_array_equal(sitk.GetArrayFromImage(after), voxels)
            np.testing.assert_allclose(after.GetSpacing(), before.GetSpacing(), atol=1e-3)
            np.testing.assert_allclose(after.GetOrigin(), before.GetOrigin(), atol=1e-3)
            np.testing.assert_allclose(after.GetDirection(), before.GetDirection(), atol=1e-3)
