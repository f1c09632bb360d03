"""Files below a folder and in a zip."""

from __future__ import annotations

import stat
import zipfile

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.files.tree import folder_tree, unpack, zip_tree

FILES = {"a b/ä.nii": b"1", "c.txt": b"22", "a b/deep/d": b""}
LITTER = ("__MACOSX/._c.txt", ".DS_Store", "a b/._ä.nii")


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "Fall 1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**FILES, **dict.fromkeys(LITTER, b"x")}.items():
            archive.writestr(name, content)
    return tmp_path / "Fall 1.zip"


@pytest.fixture
def folder(tmp_path):
    for name, content in {**FILES, **dict.fromkeys(LITTER, b"x")}.items():
        (tmp_path / "Fall 1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Fall 1" / name).write_bytes(content)
    return tmp_path / "Fall 1"


def test_both_are_read_alike(folder, archive, tmp_path):
    for tree in (folder_tree(folder), zip_tree(archive)):
        assert tree.names == tuple(sorted(FILES))
        for name, content in FILES.items():
            with tree.open(name) as stream:
                assert stream.read() == content
            assert unpack(tree, name, tmp_path / "scratch").read_bytes() == content


def test_stamps_tell_of_a_change(folder, archive):
    for tree, changed in ((folder_tree(folder), folder / "c.txt"), (zip_tree(archive), archive)):
        before = tree.stamps()
        assert before == tree.stamps()
        changed.write_bytes(changed.read_bytes() + b"3")
        assert before != tree.stamps()


def test_links_are_followed_once(folder):
    (folder / "loop").symlink_to(folder)
    (folder / ".t1.nii.gz.icloud").write_bytes(b"")
    assert folder_tree(folder).names == tuple(sorted((*FILES, ".t1.nii.gz.icloud")))


@pytest.mark.parametrize("name", ["../evil.nii", "a/../../evil.nii", "/etc/evil", "C:\\evil", "..\\evil.nii"])
def test_a_zip_that_leaves_its_place_is_refused(tmp_path, name):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("t1.nii", b"1")
        entry = zipfile.ZipInfo("x")
        entry.filename = name
        archive.writestr(entry, b"1")
    with pytest.raises(DataError, match="would be unpacked outside of the folder"):
        zip_tree(file)
    assert [*tmp_path.iterdir()] == [file]


def test_links_in_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        entry = zipfile.ZipInfo("t1.nii")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match=r"'t1\.nii' is a link"):
        zip_tree(tmp_path / "a.zip")


def test_an_encrypted_zip_is_refused(archive):
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(signature, place + 1)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        zip_tree(archive)


def test_a_damaged_zip(archive, tmp_path):
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is no zip, or damaged"):
        zip_tree(archive)
    damaged = bytearray(content)
    damaged[content.find(b"c.txt") + 6] ^= 0xFF
    archive.write_bytes(damaged)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(zip_tree(archive), "c.txt", tmp_path / "scratch")


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    def walk(top, onerror, followlinks):
        onerror(PermissionError(13, "Permission denied", str(top)))

    monkeypatch.setattr("os.walk", walk)
    with pytest.raises(DataError, match="Check its permissions"):
        folder_tree(folder)
