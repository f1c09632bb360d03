"""Images that a library writes are read back before they are published.

No library tells of every full disk: ITK's NIfTI writer drops the errors of its gzip stream, and its reader then fills
what is not there with zeros. So the file is checked by the checksums and lengths that it carries, and its voxels are
compared with those that were to be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_hetero.io.whole import cut_off, require_whole

if TYPE_CHECKING:
    from nnunetv2.imageio.base_reader_writer import BaseReaderWriter

HEADERS = {".nii": 348, ".gipl": 256, ".bmp": 54}
"""Formats without compression by ending: bytes before the voxels, at least."""


def require_written(file: str | os.PathLike, expected: np.ndarray, read: Callable[[str], np.ndarray]) -> None:
    """Read an image back.

    Args:
        file: Its path.
        expected: The voxels that were to be written.
        read: Gives those of a file, in the same order; axes of length one do not count.

    Raises:
        OSError: If the file is not whole, or holds other voxels.
    """
    file = Path(file)
    require_whole(file)
    header, length = HEADERS.get(file.suffix), file.stat().st_size
    if header is not None and length < header + expected.nbytes:
        raise cut_off(file, f"it has {length} bytes, voxels and header are {header + expected.nbytes}")
    try:
        found = np.asarray(read(str(file)))
    except Exception as error:  # each library has its own
        raise cut_off(file, error) from error
    if not np.array_equal(np.squeeze(found), np.squeeze(expected), equal_nan=expected.dtype.kind == "f"):
        raise cut_off(file, "other voxels are read than were written")


def write_label_map(label_map: np.ndarray, file: str | os.PathLike, properties: dict, reader: BaseReaderWriter) -> None:
    """Write a label map with nnU-Net's writer, and read it back.

    Args:
        label_map: ``(z, y, x)``.
        file: Path to write.
        properties: Those of the case, from the reader.
        reader: nnU-Net's reader and writer of the data set's format.

    Raises:
        OSError: If the disk did not take it as a whole.
    """
    reader.write_seg(label_map, str(file), properties)
    require_written(file, label_map, lambda path: reader.read_seg(path)[0])
