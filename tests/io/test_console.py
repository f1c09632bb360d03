"""Printing where the output knows few letters."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io import console
from nnunet_hetero.io.console import make_printable, plain, printable, say_errors_in_words


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("T1–T2 ●○ 3 × 4 Größe", "utf-8", "T1–T2 ●○ 3 × 4 Größe"),
        ("T1–T2 ●○ 3 × 4 Größe", "latin-1", "T1-T2 xo 3 × 4 Größe"),
        ("T1–T2 ●○ 3 × 4 Größe", "ascii", "T1-T2 xo 3 x 4 Grosse"),
        ("腫瘍 a", "iso8859-15", "?? a"),
        ("a\udcffb", "utf-8", "a?b"),
        ("é", "no such encoding", "e"),
        ("é", None, "e"),
    ],
)
def test_what_cannot_be_encoded_becomes_plain(text, encoding, expected):
    assert printable(text, encoding) == expected


def test_everything_has_a_plain_form():
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x20000, 7)]))
    assert plain(everything).isascii()


def test_streams_print_anything(monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="iso8859-1") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    make_printable()
    print("σ² – ü")
    print("…", file=sys.stderr)
    assert [stream.flush() or stream.buffer.getvalue() for stream in streams] == [b"sigma\xb2 - \xfc\n", b"...\n"]


def test_streams_without_encoding_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    make_printable()


def test_errors_of_the_user_have_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    say_errors_in_words()
    assert sys.excepthook is console._say
    sys.excepthook(SettingsError, SettingsError("Mend it."), None)
    assert capsys.readouterr().err == "error: Mend it.\n"
    sys.excepthook(ValueError, ValueError("a defect"), None)
    assert "ValueError: a defect" in capsys.readouterr().err


def test_another_hook_is_kept(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", print)
    say_errors_in_words()
    assert sys.excepthook is print


def test_exit_code_of_such_an_error():
    code = (
        "from nnunet_hetero.io.console import say_errors_in_words\n"
        "from nnunet_hetero.errors import DataError\nsay_errors_in_words()\nraise DataError('Mend it.')"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (1, "error: Mend it.\n")
