"""Several files that appear together, and files that a library writes."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from nnunet_hetero.io import unfinished
from nnunet_hetero.io.unfinished import Unfinished, replacing_by_name

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def full_disk(*_arguments) -> None:
    raise FULL


class TestReplacingByName:
    def test_library_chooses_by_the_ending(self, tmp_path):
        with replacing_by_name(tmp_path / "a.npz") as path:
            np.savez_compressed(path, image=np.arange(3))
        assert names(tmp_path) == ["a.npz"]

    def test_what_a_library_left_half_is_not_published(self, tmp_path):
        (tmp_path / "a.npz").write_bytes(b"earlier")
        with pytest.raises(OSError, match="Not written as a whole"), replacing_by_name(tmp_path / "a.npz") as path:
            np.savez_compressed(path, image=np.arange(3))
            os.truncate(path, path.stat().st_size // 2)
        assert names(tmp_path) == ["a.npz"] and (tmp_path / "a.npz").read_bytes() == b"earlier"


class TestUnfinished:
    def make(self, folder) -> Unfinished:
        made = Unfinished(folder / "case")
        (made.folder / "sub").mkdir()
        for name in ("case.txt", "sub/case.txt"):
            (made.folder / name).write_text("whole")
        return made

    def test_all_appear_together(self, tmp_path):
        made = self.make(tmp_path)
        there = []
        made.publish("case.txt", lambda: there.extend(names(tmp_path)))
        assert "sub" in there and "case.txt" not in there
        assert names(tmp_path) == ["case.txt", "sub"] and names(tmp_path / "sub") == ["case.txt"]

    def test_nothing_appears_if_one_is_cut_off(self, tmp_path):
        made = self.make(tmp_path)
        (made.folder / "sub" / "case.txt").write_text("")
        with pytest.raises(OSError, match="Not written as a whole"):
            made.publish("case.txt")
        made.drop()
        assert not names(tmp_path)

    def test_nothing_appears_if_the_disk_is_full(self, tmp_path, monkeypatch):
        made = self.make(tmp_path)
        monkeypatch.setattr(unfinished.os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            made.publish("case.txt")
        made.drop()
        assert not names(tmp_path)
