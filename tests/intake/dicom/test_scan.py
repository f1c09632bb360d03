"""DICOM files by series, headers alone."""

from __future__ import annotations

import shutil
import sys

import pytest
from pydicom.fileset import FileSet

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.dicom.scan import common_folder, files_of, headers_of, is_series, scan
from nnunet_hetero.intake.files.tree import folder_tree


def test_series_and_what_is_none(study, tmp_path):
    shutil.copytree(study, tmp_path / "in")
    (tmp_path / "in/notes.txt").write_text("x" * 200)
    (tmp_path / "in/scan.dcm").write_bytes(b"x" * 200)
    (tmp_path / "in/empty.dcm").write_bytes(b"")
    found = scan(tree := folder_tree(tmp_path / "in"), tree.names)
    assert sorted(len(files) for files in found.series.values()) == [3, 24, 24, 24, 24]
    assert set(found.unreadable) == {"scan.dcm", "empty.dcm"}


def test_a_dicomdir_is_no_image(study, tmp_path):
    media = FileSet()
    for file in study.rglob("S1/*.dcm"):
        media.add(file)
    media.write(tmp_path / "in")
    found = scan(tree := folder_tree(tmp_path / "in"), tree.names)
    assert "DICOMDIR" in tree.names and not found.unreadable
    assert [len(files) for files in found.series.values()] == [3]


def test_without_pydicom(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (tmp_path / "notes.txt").write_text("x" * 200)
    assert not scan(folder_tree(tmp_path), ["notes.txt"]).series
    with pytest.raises(SettingsError, match=r"nnunet-hetero\[dicom\]"):
        scan(tree := folder_tree(study), tree.names)


def test_an_unreadable_file_among_slices(study, tmp_path):
    shutil.copytree(study, tmp_path / "in")
    tree = folder_tree(tmp_path / "in")
    uid, files = next((uid, files) for uid, files in scan(tree, tree.names).series.items() if len(files) == 24)
    assert len(files_of(tree, uid)) == len(headers_of("Fall 1", uid, tmp_path / "in")) == 24
    other = next((tmp_path / "in").rglob("S1")) / "x.dcm"
    other.write_bytes(b"x" * 200)
    assert len(files_of(folder_tree(tmp_path / "in"), uid)) == 24
    beside = tmp_path / "in" / files[0][0]
    beside.write_bytes(beside.read_bytes()[:150])
    with pytest.raises(DataError, match=r"IM0001\.dcm cannot be read .* may be one of its slices"):
        files_of(folder_tree(tmp_path / "in"), uid)


def test_what_is_a_series(study):
    assert is_series("Fall 1", "1.2.3", study)
    assert is_series("a.ZIP", "1.2.3", study)
    assert not is_series("a.zip", "t1.nii.gz", study)
    assert not is_series("a/t1.nii.gz", "", study)


def test_common_folder():
    assert common_folder(["a/b/1", "a/b/2"]) == "a/b"
    assert common_folder(["a/b/1", "a/c/2"]) == "a"
    assert common_folder(["1", "a/2"]) == ""
