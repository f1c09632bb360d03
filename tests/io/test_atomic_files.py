"""Files that are whole or as they were."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from nnunet_hetero.io.atomic_files import replace_json, replace_text, replacing

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def full_disk(*_arguments) -> None:
    raise FULL


class TestReplacing:
    def test_replaces(self, tmp_path):
        replace_text(tmp_path / "a", "one")
        replace_text(tmp_path / "a", "two")
        assert (tmp_path / "a").read_text() == "two" and names(tmp_path) == ["a"]

    def test_stays_after_an_exception(self, tmp_path):
        replace_text(tmp_path / "a", "one")
        with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as stream:
            stream.write(b"tw")
            raise ZeroDivisionError
        assert (tmp_path / "a").read_text() == "one" and names(tmp_path) == ["a"]

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_stays_on_a_full_disk(self, function, tmp_path, monkeypatch):
        """Network file systems tell at the end that there is no room."""
        replace_text(tmp_path / "a", "one")
        monkeypatch.setattr(os, function, full_disk)
        with pytest.raises(OSError, match="No space left"):
            replace_text(tmp_path / "a", "two")
        assert (tmp_path / "a").read_text() == "one" and names(tmp_path) == ["a"]

    def test_processes_that_write_one_file_do_not_meet(self, tmp_path):
        code = (
            "import sys\nfrom nnunet_hetero.io.atomic_files import replace_text\n"
            "for _ in range(100):\n    replace_text(sys.argv[1], 'x' * 10000)"
        )
        processes = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "a"]) for _ in range(3)]
        assert [process.wait() for process in processes] == [0, 0, 0]
        assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "x" * 10000


def test_names_that_are_no_text_come_back_from_json(tmp_path):
    name = os.fsdecode(b"M\xfcller")
    replace_json(tmp_path / "a.json", {name: name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {name: name}
