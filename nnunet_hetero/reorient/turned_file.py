"""An image file with its axes in another orientation: every voxel keeps its bits and its place in space."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from nnunet_hetero.cases.geometry import read_geometry
from nnunet_hetero.cases.image_files import GZIP, HEADER_BYTES, is_nifti, read_nifti
from nnunet_hetero.cases.label_maps.written_image import require_written
from nnunet_hetero.cases.orientation import FORMS, axis_codes, orientation_of, reoriented, turned
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import replace_bytes, replacing_by_name


def header_of(file: str | os.PathLike) -> bytes:
    """The header of a NIfTI file, 348 bytes; empty for other formats."""
    if not is_nifti(file):
        return b""
    with open(file, "rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    with gzip.open(file) if packed else open(file, "rb") as stream:
        return stream.read(HEADER_BYTES)


def turn_file(file: str | os.PathLike, before: str, after: str, header: bytes = b"") -> None:
    """Rewrite a file in another orientation; it is there as a whole, before or after.

    Args:
        file: NIfTI, or another format that SimpleITK reads and writes.
        before: The orientation that its data set's reader takes it to have.
        after: The one to bring it to.
        header: Of a NIfTI file, to be put in place of the one that follows from the turn: the way back.

    Raises:
        DataError: If it is damaged, another image than the header's, or of a format that keeps no orientation.
    """
    if not is_nifti(file):
        _turn_other(Path(file), before, after)
        return
    read_nifti(file)  # it is whole
    content = Path(file).read_bytes()
    packed = content.startswith(GZIP)
    content = gzip.decompress(content) if packed else content
    old = nibabel.Nifti1Header(content[:HEADER_BYTES], check=False)
    if not any(old[f"{name}_code"] > 0 for name in FORMS):
        raise DataError(
            f"{file} has neither sform nor qform in its header, so that nobody knows its orientation; {before} is what "
            "the reader supposes. Write the right one into the header (nibabel's set_sform), or export it again."
        )
    start = int(old.get_data_offset())
    shape, dtype = old.get_data_shape(), old.get_data_dtype()
    voxels = np.frombuffer(content, dtype, int(np.prod(shape)), start).reshape(shape, order="F")
    found = np.moveaxis(turned(np.moveaxis(voxels, (0, 1, 2), (-3, -2, -1)), before, after), (-3, -2, -1), (0, 1, 2))
    new = nibabel.Nifti1Header(header, check=False) if header else _turned_header(old, before, after)
    if new.get_data_shape() != found.shape or new.get_data_dtype() != dtype:
        raise DataError(f"{file} is another image than it was: its shape is {shape} and its type {dtype}.")
    parts = (new.binaryblock, content[HEADER_BYTES:start], found.tobytes(order="F"))
    turned_content = b"".join(parts)
    replace_bytes(Path(file), gzip.compress(turned_content, compresslevel=5, mtime=0) if packed else turned_content)


def _turned_header(old: nibabel.Nifti1Header, before: str, after: str) -> nibabel.Nifti1Header:
    """The header whose two transforms lead to the same places as before; what else it says stays."""
    turn = ornt_transform(axcodes2ornt(before), axcodes2ornt(after))
    to_old_index = inv_ornt_aff(turn, old.get_data_shape()[:3])
    order = [int(axis) for axis in np.argsort(turn[:, 0])]
    new = old.copy()
    shape, zooms = list(old.get_data_shape()), list(old.get_zooms())
    shape[:3], zooms[:3] = [shape[axis] for axis in order], [zooms[axis] for axis in order]
    new.set_data_shape(shape)
    new.set_zooms(zooms)
    new.set_dim_info(*(None if axis is None else order.index(axis) for axis in old.get_dim_info()))
    for name in FORMS:
        code = int(old[f"{name}_code"])
        if code > 0:
            getattr(new, f"set_{name}")(getattr(old, f"get_{name}")() @ to_old_index, code=code)
    return new


def _turn_other(file: Path, before: str, after: str) -> None:
    try:
        image = sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise DataError(f"{file} cannot be read: it is damaged. Copy or export it again.") from error
    if orientation_of(image) != before:
        raise DataError(f"{file} is another image than it was: its orientation is {orientation_of(image)}.")
    found = reoriented(image, after)
    for key in image.GetMetaDataKeys():
        found.SetMetaData(key, image.GetMetaData(key))
    with replacing_by_name(file) as path:
        sitk.WriteImage(found, str(path), True)
        if axis_codes(read_geometry(path).ras_affine) != after:
            raise DataError(
                f"{file} cannot be brought to the orientation {after}: its format keeps none. Convert it to NIfTI."
            )
        voxels = sitk.GetArrayViewFromImage(found)
        require_written(path, voxels, lambda written: sitk.GetArrayFromImage(sitk.ReadImage(written)))
