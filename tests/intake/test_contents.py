"""A change of any file of an image is seen, and of no other one."""

from __future__ import annotations

import os

import pytest

from nnunet_hetero.intake.contents import contents_of
from nnunet_hetero.intake.series import Series


@pytest.fixture
def digest(tmp_path):
    """A case with a series, an image in two files, one in one, and a zip; function that digests one of them."""
    (tmp_path / "a/s/deep").mkdir(parents=True)
    for name in ("s/1.dcm", "s/deep/2.dcm", "t1.mhd", "t1.raw", "t2.nii.gz", "flair.zip"):
        (tmp_path / "a" / name).write_text(name, encoding="utf-8")

    def digest(source: str) -> str | None:
        return contents_of([Series("a", source, "T1", "sure", "")], tmp_path).get("T1")

    return digest


@pytest.mark.parametrize(
    ("source", "file"), [("a/s#1.2", "s/1.dcm"), ("a/s#1.2", "s/deep/2.dcm"), ("a/t1.mhd", "t1.raw")]
)
def test_a_file_that_is_written_over(digest, tmp_path, source, file):
    before = digest(source)
    assert before == digest(source)
    os.utime(tmp_path / "a" / file, ns=(1, 1))
    assert before != digest(source)


def test_a_file_more_and_a_link_to_nothing(digest, tmp_path):
    before = digest("a/s#1.2")
    (tmp_path / "a/s/3.dcm").symlink_to("/nowhere")
    assert before != digest("a/s#1.2")


@pytest.mark.parametrize("source", ["a/t2.nii.gz", "a/flair.zip#1.2", "a/gone.nii"])
def test_what_has_a_stamp_of_its_own(digest, source):
    assert digest(source) is None
