"""Files that are whole or as they were, whatever interrupts the writing: a kill, a full disk, a second process.

All writers of the package go through here: `replacing` and its kin for what we write into a stream,
`replacing_by_name` for what a library writes, `Unfinished` for several files that belong together.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nnunet_hetero.io.drafts import clear_drafts, is_draft, new_draft, remove_draft
from nnunet_hetero.io.turns import alone_in, is_of_turns, locked
from nnunet_hetero.io.unfinished import Unfinished, replacing_by_name, sync_folder
from nnunet_hetero.io.whole import require_whole

__all__ = [
    "Unfinished",
    "alone_in",
    "clear_drafts",
    "is_draft",
    "is_of_turns",
    "locked",
    "replace_bytes",
    "replace_json",
    "replace_text",
    "replacing",
    "replacing_by_name",
    "require_whole",
]


@contextlib.contextmanager
def replacing(file: str | os.PathLike) -> Iterator[BinaryIO]:
    """A stream for the new content of a file, which is replaced as a whole at the end, or stays after an exception.

    Two processes may do so at a time; the later one wins. Who changes what is there needs `locked` besides.

    Raises:
        OSError: If the disk does not take it, also if that shows only when the stream is closed.
    """
    file = Path(file)
    draft = new_draft(file)
    try:
        with open(draft, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    except OSError as error:
        remove_draft(draft)
        if error.filename is not None:
            raise
        # A stream does not say what it is of.
        raise OSError(error.errno, error.strerror or str(error), str(file)) from error
    except BaseException:
        remove_draft(draft)
        raise
    sync_folder(file.parent)


def replace_bytes(file: str | os.PathLike, content: bytes) -> None:
    """Write a file as a whole, see `replacing`."""
    with replacing(file) as stream:
        stream.write(content)


def replace_text(file: str | os.PathLike, text: str) -> None:
    """Write a text file as a whole, in UTF-8, see `replace_bytes`.

    What a name of a file has that is no text for Python becomes ``\\udcfc``, which JSON reads as the same name again.
    """
    replace_bytes(file, text.encode("utf-8", "backslashreplace"))


def replace_json(file: str | os.PathLike, content: Any) -> None:
    """Write a JSON file as a whole, see `replace_text`."""
    replace_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
