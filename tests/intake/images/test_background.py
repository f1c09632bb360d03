"""Heads with skulls are told from brains."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from helpers.cohorts.moved_case import phantom_images

from nnunet_hetero.intake.images.background import not_like_training


def _with(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def test_a_brain():
    image = phantom_images()["T1"]
    inside = np.argwhere(sitk.GetArrayFromImage(image))
    litres = np.prod((np.ptp(inside, axis=0) + 1) * 6.0) / 1e6
    assert not_like_training(image, None) is None and not_like_training(image, litres) is None


def test_noise_around_it():
    image = phantom_images()["T1"]
    array = sitk.GetArrayFromImage(image)
    array[array == 0] = 3
    assert "its background is not zero (100%" in not_like_training(_with(image, array), None)


def test_a_head_in_zeros():
    image = phantom_images()["T1"]
    assert "may be a head with its skull" in not_like_training(image, 0.5)


def test_an_empty_image_is_none():
    assert not_like_training(sitk.Image(8, 8, 8, sitk.sitkInt16), 1.0) is None
