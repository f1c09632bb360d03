"""The size of a voxel, as nnU-Net's readers tell it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from skimage.io import imsave

from nnunet_hetero.nnunet.extent import MILLILITRES, SQUARE_MILLIMETRES, is_two_dimensional, spacing_in_mm, voxel_size


def test_volume():
    properties = {"spacing": [5.0, 2.0, 0.5]}
    assert not is_two_dimensional(properties)
    assert (voxel_size(properties).size, voxel_size(properties).unit) == (pytest.approx(0.005), MILLILITRES)
    assert spacing_in_mm(properties) == [5.0, 2.0, 0.5]


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 0.3), (250.0, 100.0)])
def test_slice_of_a_medical_format(tmp_path, spacing):
    image = sitk.GetImageFromArray(np.ones((6, 5), np.float32))
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    _, properties = SimpleITKIO().read_images([str(tmp_path / "a.nii.gz")])
    assert is_two_dimensional(properties)
    size = voxel_size(properties)
    assert (size.size, size.unit) == (pytest.approx(spacing[0] * spacing[1]), SQUARE_MILLIMETRES)
    first, *others = spacing_in_mm(properties)
    assert math.isnan(first) and others == pytest.approx(spacing[::-1])


def test_picture(tmp_path):
    imsave(tmp_path / "a.png", np.arange(30, dtype=np.uint8).reshape(6, 5), check_contrast=False)
    _, properties = NaturalImage2DIO().read_images([str(tmp_path / "a.png")])
    assert is_two_dimensional(properties)
    assert math.isnan(voxel_size(properties).size) and voxel_size(properties).unit is None
    assert all(map(math.isnan, spacing_in_mm(properties)))
