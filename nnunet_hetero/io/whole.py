"""Whether a file that a library wrote is whole.

Libraries do not always tell of a full disk: ITK's writer drops the errors of its gzip stream. What they write is
therefore read back before it gets its final name. Compressed files carry their own checksums and lengths.
"""

from __future__ import annotations

import errno
import gzip
import os
import pickletools
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

_BLOCK = 1 << 20  # bytes


def require_whole(file: str | os.PathLike) -> None:
    """Read a file back to its end and compare it with the checksums and lengths that it carries.

    Files of formats that carry none (text, images that are not compressed) are only asked to have a content.

    Args:
        file: ``.gz``, ``.npz``, ``.pth``, ``.zip`` and ``.pkl`` are known by their content, ``.pkl`` by its name.

    Raises:
        OSError: If it is not whole.
    """
    file = Path(file)
    try:
        with open(file, "rb") as stream:
            start = stream.read(4)
        if not start:
            raise EOFError("it is empty")
        _check_of(file.name, start)(file)
    except (EOFError, ValueError, IndexError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise cut_off(file, error) from error


def cut_off(file: str | os.PathLike, reason: object) -> OSError:
    """The error of a file that was not written as a whole.

    Args:
        file: Its path.
        reason: How that shows.
    """
    return OSError(errno.EIO, f"Not written as a whole ({reason}); most likely the disk is full", str(file))


def _check_of(name: str, start: bytes) -> Callable[[Path], None]:
    if start.startswith(b"\x1f\x8b"):
        return _check_gzip
    if start == b"PK\x03\x04":
        return _check_zip
    if start == b"\x89PNG":
        return _check_png
    if name.endswith(".pkl"):
        return _check_pickle
    # A file that should be compressed, and does not begin like one, is none.
    return _refuse if name.endswith((".gz", ".npz", ".zip", ".pth")) else _trust


def _check_gzip(file: Path) -> None:
    with gzip.open(file) as stream:
        while stream.read(_BLOCK):
            pass


def _check_zip(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        bad = archive.testzip()
    if bad is not None:
        raise zipfile.BadZipFile(f"the checksum of {bad} is wrong")


def _check_pickle(file: Path) -> None:
    # Nothing is loaded: the instructions are only counted, up to the last one.
    with open(file, "rb") as stream:
        for _ in pickletools.genops(stream):
            pass


def _check_png(file: Path) -> None:
    with open(file, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - 12))
        if stream.read() != b"\0\0\0\0IEND\xaeB`\x82":
            raise EOFError("its last part is missing")


def _refuse(_file: Path) -> None:
    raise EOFError("its beginning is not that of such a file")


def _trust(_file: Path) -> None:
    pass
