"""Bias fields are taken off."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from helpers.cohorts.moved_case import phantom_images

from nnunet_hetero.intake.images.bias import without_bias


def test_a_field_is_found():
    brain = sitk.GetArrayFromImage(phantom_images()["T1"]) > 0
    ramp = np.linspace(0.6, 1.4, brain.shape[2])
    image = sitk.GetImageFromArray((100 * brain * ramp).astype(np.float32))
    image.CopyInformation(phantom_images()["T1"])
    values = sitk.GetArrayFromImage(without_bias(image))
    before = (100 * brain * ramp)[brain]
    assert not values[~brain].any()
    assert values[brain].std() / values[brain].mean() < 0.5 * before.std() / before.mean()
