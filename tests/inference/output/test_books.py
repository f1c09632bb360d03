"""Entries of cases in the files of all cases: one by one, or many together."""

from __future__ import annotations

import pytest

from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.inference.output.books import CaseEntry, HeldEntries, write_entries

RECORD = {"used": ["T1"], "absent": {"T2": "no file"}}


def entry(folder, name: str, **more) -> CaseEntry:
    return CaseEntry(str(folder), name, None, RECORD, {"volumes.csv": [{"liver_ml": 1.5}]}, {"flags": 1}, **more)


def contents(folder) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_together_they_make_the_files_that_they_make_one_by_one(tmp_path):
    one, all_ = tmp_path / "one", tmp_path / "all"
    for folder in (one, all_):
        folder.mkdir()
    entries = [("b", None), ("a", None), ("c", Failure("reading", "no image"))]
    made = {
        folder: [
            CaseEntry(str(folder), name, failure) if failure else entry(folder, name, measured={"seconds": 1})
            for name, failure in entries
        ]
        for folder in (one, all_)
    }
    for single in made[one]:
        write_entries([single])
    write_entries(made[all_])
    assert contents(all_) == contents(one)
    assert set(contents(one)) == {"volumes.csv", "modalities.json", "run.json", "failed.json"}


def test_success_takes_a_case_off_the_list(tmp_path):
    write_entries([CaseEntry(str(tmp_path), "a", Failure("reading", "no image"))])
    assert contents(tmp_path).keys() == {"failed.json"}
    write_entries([CaseEntry(str(tmp_path), "a")])
    assert not contents(tmp_path)


class TestHeld:
    @pytest.fixture
    def clock(self, monkeypatch):
        now = [0.0]
        monkeypatch.setattr("nnunet_hetero.inference.output.books.time.monotonic", lambda: now[0])
        return now

    def test_they_are_written_from_time_to_time(self, clock):
        written: list[list[str]] = []
        held = HeldEntries(lambda entries: written.append([one.name for one in entries]), seconds=2)
        for name in "abcd":
            held.add([CaseEntry("out", name)])
            clock[0] += 1
        assert written == [["a", "b", "c"]]
        held.flush()
        held.flush()
        assert written == [["a", "b", "c"], ["d"]]

    def test_slow_writing_is_done_less_often(self, clock):
        written = []

        def slowly(entries):
            written.append(len(entries))
            clock[0] += 1  # 50 times as long until the next one

        held = HeldEntries(slowly, seconds=2)
        for _ in range(100):
            held.add([CaseEntry("out", "a")])
            clock[0] += 1
        assert written == [3, 50]
