"""Files as editors, disks, copies and accidents leave them, and commands that must say what is wrong with them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from nnunet_hetero.cli.main import main

Spoil = Callable[[Path], None]


def _bytes(content: Callable[[bytes], bytes]) -> Spoil:
    def spoil(file: Path) -> None:
        file.write_bytes(content(file.read_bytes()))

    return spoil


def _folder(file: Path) -> None:
    file.unlink()
    (file / "inside").mkdir(parents=True)


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


BROKEN: dict[str, Spoil] = {
    "empty": _bytes(lambda _: b""),
    "blank": _bytes(lambda _: b"\n \n"),
    "cut off": _bytes(lambda content: content[: len(content) // 2]),
    "no JSON": _bytes(lambda _: b"{'a': 1}"),
    "binary": _bytes(lambda _: bytes(range(256)) * 4),
    "zeros": _bytes(lambda content: bytes(len(content))),
    "not UTF-8": _bytes(lambda content: content[:1] + '"Ödem": 1,'.encode("latin-1") + content[1:]),
    "UTF-16": _bytes(lambda content: content.decode().encode("utf-16")),
    "nested": _bytes(lambda _: b"[" * 50_000),
    "null": _bytes(lambda _: b"null"),
    "a number": _bytes(lambda _: b"3.5"),
    "a text": _bytes(lambda _: b'"plans"'),
    "other type": _bytes(lambda content: b"{}" if content.lstrip()[:1] == b"[" else b"[]"),
    "a folder": _folder,
    "a loop": _loop,
    "a pipe": _pipe,
    "gone": Path.unlink,
}
"""What can happen to any JSON file."""

BROKEN_TABLE: dict[str, Spoil] = {
    **{name: BROKEN[name] for name in ("empty", "blank", "binary", "zeros", "UTF-16", "a folder", "a loop", "a pipe")},
    "not UTF-8": _bytes(lambda content: content.replace(b"case", "cäse".encode("latin-1"), 2)),
    "other columns": _bytes(lambda content: content.replace(b"case", b"patient", 1)),
    "a column twice": _bytes(lambda content: content.replace(b"subset", b"case", 1)),
    "cut off in a row": _bytes(lambda content: content[: content.rstrip().rindex(b",") - 1]),
    "an open quote": _bytes(lambda content: content.replace(b"\n", b'\n"', 1)),
    "semicolons": _bytes(lambda content: content.replace(b",", b";")),
}
"""What can happen to a CSV file."""


def edited(change: Callable[[Any], Any]) -> Spoil:
    """A JSON file that is changed as somebody may do it in an editor.

    Args:
        change: Changes the content in place, or returns another one.
    """

    def spoil(file: Path) -> None:
        content = json.loads(file.read_text(encoding="utf-8"))
        other = change(content)
        file.write_text(json.dumps(content if other is None else other), encoding="utf-8")

    return spoil


def without(*path: str | int) -> Spoil:
    """A JSON file that lacks an entry."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return edited(change)


def put(value: Any, *path: str | int) -> Spoil:
    """A JSON file with another value at one place."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = deepcopy(value)

    return edited(change)


@contextlib.contextmanager
def spoilt(file: Path, spoil: Spoil) -> Iterator[None]:
    """A file that is spoilt meanwhile, and as before afterwards."""
    before = file.read_bytes()
    try:
        spoil(file)
        yield
    finally:
        for entry in (file, *file.parent.glob(f"{file.name}.damaged*")):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        file.write_bytes(before)


def run(*argv: object) -> int:
    """Any command of ``nnunet_hetero``; its exit code."""
    try:
        return main([str(word) for word in argv])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def require_refusal(code: int, printed: str, *words: str) -> None:
    """One sentence with these words, a remedy after it, and no traceback."""
    assert code in (1, 2), printed
    assert "Traceback" not in printed, printed
    for word in words:
        assert word in printed, printed
    if code == 1:  # argparse has other words
        errors = [line for line in printed.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, printed
        # A sentence of what is wrong, and at least one of what to do.
        text = printed.partition("error: ")[2]
        assert any(sign in text for sign in (". ", "; ", ".\n  ")), printed
