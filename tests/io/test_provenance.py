"""Records of what a result was made from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnunet_hetero.io.provenance import Provenance, read_provenance, stamp, write_provenance


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "t1.nii.gz"
    file.write_bytes(b"image")
    return file


def test_nothing_differs_after_writing_and_reading(image, tmp_path):
    record = Provenance.of({"T1": image, "T1c": None}, {"labels": {0: 0, 4: 3}, "channels": ("T1", "T1c")})
    write_provenance(tmp_path / "records" / "a.json", record)
    assert read_provenance(tmp_path / "records" / "a.json") == record
    assert record.difference(read_provenance(tmp_path / "records" / "a.json")) is None


def test_a_file_with_an_older_date_differs(image):
    before = Provenance.of({"T1": image}, {})
    os.utime(image, ns=(0, stamp(image)["mtime_ns"] - 1))
    assert Provenance.of({"T1": image}, {}).difference(before) == f"T1 has changed: {image}"


def test_another_size_with_the_same_date_differs(image):
    before = Provenance.of({"T1": image}, {})
    image.write_bytes(b"another")
    os.utime(image, ns=(0, before.sources["T1"]["mtime_ns"]))
    assert Provenance.of({"T1": image}, {}).difference(before) == f"T1 has changed: {image}"


def test_says_what_differs(image, tmp_path):
    other = tmp_path / "other.nii.gz"
    other.write_bytes(b"image")
    record = Provenance.of({"T1": image}, {"labels": [1]})
    assert record.difference(None) == "there is no record of what it was made from"
    assert Provenance.of({"T1": other}, {}).difference(record) == f"T1 is {other}, it was {image}"
    assert Provenance.of({}, {"labels": [1]}).difference(record) == f"T1 is gone: {image}"
    assert Provenance.of({"T1": image, "T2": other}, {"labels": [1]}).difference(record) == f"T2 is new: {other}"
    assert Provenance.of({"T1": image}, {"labels": [2]}).difference(record) == "labels is [2], it was [1]"
    image.unlink()
    assert Provenance.of({"T1": image}, {"labels": [1]}).difference(record) == f"T1 is not there any more: {image}"


def test_a_link_that_points_elsewhere_differs(image, tmp_path):
    other, link = tmp_path / "other.nii.gz", tmp_path / "link.nii.gz"
    other.write_bytes(b"image")
    os.utime(other, ns=(0, stamp(image)["mtime_ns"]))
    link.symlink_to(image)
    before = Provenance.of({"T1": link}, {})
    link.unlink()
    link.symlink_to(other)
    assert Provenance.of({"T1": link}, {}).difference(before) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sources": {}}', '{"sources": {"T1": 1}, "settings": {}}'])
def test_a_damaged_record_is_none(tmp_path, content):
    file = tmp_path / "a.json"
    file.write_text(content)
    assert read_provenance(file) is None
    assert read_provenance(tmp_path / "nowhere.json") is None
