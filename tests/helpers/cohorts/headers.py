"""NIfTI files whose headers say what they are told to say: libraries mend what they write."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np


def write_nifti(
    file: Path,
    data: np.ndarray,
    sform: np.ndarray | None = None,
    qform: np.ndarray | None = None,
    pixdim: tuple[float, float, float] | None = None,
    codes: tuple[int, int] = (1, 1),
    packed: bool = True,
) -> Path:
    """Write a NIfTI-1 file.

    Args:
        file: Path.
        data: Voxels, (I, J, K).
        sform: Affine; None leaves it and its code at 0.
        qform: Likewise.
        pixdim: Edges of a voxel; None takes those of ``qform``, else of ``sform``.
        codes: Of sform and qform.
        packed: Whether gzip packs it, whatever its name says.
    """
    header = nibabel.Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header["magic"], header["vox_offset"], header["scl_slope"], header["xyzt_units"] = b"n+1", 352, 1, 2
    affine = qform if qform is not None else sform
    if qform is not None:
        header.set_qform(qform, codes[1], strip_shears=True)
    if sform is not None:
        header.set_sform(sform, codes[0])
    if pixdim is None and affine is not None:
        pixdim = np.linalg.norm(affine[:3, :3], axis=0)
    header["pixdim"][1:4] = pixdim
    content = header.binaryblock + bytes(4) + data.tobytes(order="F")
    file.write_bytes(gzip.compress(content) if packed else content)
    return file


def affine(spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), angle: float = 0.0, shear: float = 0.0) -> np.ndarray:
    """Voxel index to position (RAS, mm): turned around the third axis by an angle, with a shear in mm a voxel."""
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight = np.diag([*spacing, 1.0])
    straight[0, 1] = shear
    straight[:3, 3] = origin
    return turned @ straight
