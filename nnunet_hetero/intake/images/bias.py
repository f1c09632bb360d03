"""Bias field correction by N4 (Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 29 (2010))."""

from __future__ import annotations

import SimpleITK as sitk

EDGE = 4.0
"""mm of the voxels that the field is estimated on; it is smooth over centimetres."""

ITERATIONS = (50, 30, 20)


def without_bias(image: sitk.Image) -> sitk.Image:
    """An image divided by its bias field, float32; zeros stay zero.

    Args:
        image: 3D; voxels that are not above zero do not count.
    """
    image = sitk.Cast(image, sitk.sitkFloat32)
    inside = sitk.Cast(image > 0, sitk.sitkUInt8)
    factors = [max(1, round(EDGE / edge)) for edge in image.GetSpacing()]
    factors = [min(factor, max(1, size // 8)) for factor, size in zip(factors, image.GetSize(), strict=True)]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetNumberOfThreads(1)
    corrector.SetNumberOfWorkUnits(1)
    corrector.SetMaximumNumberOfIterations(list(ITERATIONS))
    corrector.Execute(sitk.Shrink(image, factors), sitk.Shrink(inside, factors))
    corrected = sitk.Cast(image / sitk.Exp(corrector.GetLogBiasFieldAsImage(image)), sitk.sitkFloat32)
    return sitk.Mask(corrected, image != 0)
