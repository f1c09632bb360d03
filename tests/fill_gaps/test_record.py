"""What fill-gaps remembers of the files that it wrote."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps.record import RECORD_NAME, Record

RECORD = Record({"a": {"T1": "a_0.nii", "T2": "a_1.nii"}, "b": {"T1": "b_0.nii"}}, {"a": ["x", None]}, {"c": ["T2"]})


def test_written_and_read_back(tmp_path):
    assert Record.load(tmp_path) is None
    RECORD.save(tmp_path)
    assert Record.load(tmp_path) == RECORD
    Record().save(tmp_path)
    assert not (tmp_path / RECORD_NAME).exists()


@pytest.mark.parametrize("text", ["{", '{"files": []}', '{"file": {}}'])
def test_damaged(tmp_path, text):
    (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(DataError, match=r"fill_gaps\.json.*"):
        Record.load(tmp_path)


def test_files_come_and_go():
    assert RECORD.paths == {"a_0.nii", "a_1.nii", "b_0.nii"}
    assert RECORD.without(["a_0.nii", "b_0.nii"]).files == {"a": {"T2": "a_1.nii"}}
    more = RECORD.with_files("b", {"T2": "b_1.nii"})
    assert more.files["b"] == {"T1": "b_0.nii", "T2": "b_1.nii"} and more.files["a"] == RECORD.files["a"]
    assert RECORD.files["b"] == {"T1": "b_0.nii"}  # the record itself stays as it was
