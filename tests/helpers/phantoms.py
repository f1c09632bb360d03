"""Tiny phantoms as arrays and as files, for tests of converters."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nibabel
import numpy as np

from nnunet_hetero.dataset_conversion.phantom import make_phantom


@cache
def phantom(index: int) -> dict:
    """Phantom `index` on a grid of 24 voxels a side, 8 mm."""
    return make_phantom(index, size=24, seed=5)


def save_nifti(data: np.ndarray, affine: np.ndarray, file: Path) -> Path:
    """Write an image, and the folders that it lies in; returns the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, affine), file)
    return file
