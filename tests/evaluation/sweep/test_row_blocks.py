"""Files of rows, as others leave them."""

from __future__ import annotations

import pytest

from nnunet_hetero.evaluation.sweep.row_blocks import RowBlocks

COLUMNS = ("case", "subset", "n_modalities", "region", "dice")
HEADER = ",".join(COLUMNS) + "\n"
ROW = {"case": "a", "subset": "T1", "n_modalities": 1, "region": "whole", "dice": 0.5}


def test_reads_what_it_wrote(tmp_path):
    blocks = RowBlocks(tmp_path / "a.csv", COLUMNS)
    blocks.keep(lambda *_: True)
    blocks.add([ROW])
    assert RowBlocks(tmp_path / "a.csv", COLUMNS).rows == {("a", "T1"): [ROW]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\0",
        b"no,table\n",
        *(HEADER.encode() + row for row in (b"a,T1\n", b"a,T1,one,whole,0.5\n", b"a,T1,1,whole,0.5,more\n", b"a,T1,1")),
    ],
)
def test_what_is_no_row_of_ours_is_none(content, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    blocks = RowBlocks(tmp_path / "a.csv", COLUMNS)
    assert blocks.rows == {}
    blocks.keep(lambda *_: True)
    assert (tmp_path / "a.csv").read_text() == HEADER


def test_a_file_that_stays_as_it_is_is_not_touched(tmp_path):
    blocks = RowBlocks(tmp_path / "a.csv", COLUMNS)
    blocks.keep(lambda *_: True)
    blocks.add([ROW])
    before = (tmp_path / "a.csv").stat()
    RowBlocks(tmp_path / "a.csv", COLUMNS).keep(lambda *_: True)
    assert (tmp_path / "a.csv").stat().st_ino == before.st_ino
