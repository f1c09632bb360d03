from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.reorient.record import RECORD_NAME, as_it_was, header_in, load_record, save_record


def test_there_and_back(tmp_path):
    assert load_record(tmp_path) == {}
    record = {"imagesTr/a_0000.nii.gz": as_it_was("LPI", bytes(range(256))), "imagesTr/b.nrrd": as_it_was("RAS", b"")}
    save_record(tmp_path, record)
    assert load_record(tmp_path) == record
    assert header_in(record["imagesTr/a_0000.nii.gz"]) == bytes(range(256))
    assert header_in(record["imagesTr/b.nrrd"]) == b""


def test_an_empty_one_is_removed(tmp_path):
    save_record(tmp_path, {"a": as_it_was("LPI", b"")})
    save_record(tmp_path, {})
    save_record(tmp_path, {})
    assert not (tmp_path / RECORD_NAME).exists()


def test_a_damaged_one(tmp_path):
    (tmp_path / RECORD_NAME).write_text('{"a": 5}')
    with pytest.raises(DataError, match="record of an earlier reorient"):
        load_record(tmp_path)
