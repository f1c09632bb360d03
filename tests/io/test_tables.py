"""Tables as users save them."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.tables import read_table


def read(tmp_path, text: str, name: str = "table.csv", key: str = "case", encoding: str = "utf-8"):
    (tmp_path / name).write_text(text, encoding=encoding)
    return read_table(tmp_path / name, key, ("site",))


class TestReadTable:
    @pytest.mark.parametrize(
        ("text", "name", "encoding"),
        [
            ("case,SITE,T1\na,X,b c.nii\n\n,,\nb,,\n", "table.csv", "utf-8"),
            ("Case;site;T1\r\na; X ;b c.nii\r\n\r\n;;\r\nb;;\r\n", "table.csv", "utf-8-sig"),
            ("CASE\tSite\tT1\na\tX\tb c.nii\n\n\t\t\nb\t\t\n", "table.tsv", "utf-8"),
            ("CASE\tSite\tT1\na\tX\tb c.nii\n\n\t\t\nb\t\t\n", "table.csv", "utf-8"),
        ],
    )
    def test_separators_and_names(self, text, name, encoding, tmp_path):
        table = read(tmp_path, text, name, encoding=encoding)
        assert table.columns == ["case", "site", "T1"]
        assert table.rows == [
            (2, {"case": "a", "site": "X", "T1": "b c.nii"}),
            (5, {"case": "b", "site": "", "T1": ""}),
        ]

    def test_quoted_line_break_counts_as_lines(self, tmp_path):
        rows = read(tmp_path, 'case,site\na,"X\nY"\nb,Z\n').rows
        assert [(number, row["site"]) for number, row in rows] == [(3, "X\nY"), (4, "Z")]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("name,site\n", "first row of column names with 'case'"),
            ("case,T1,t1\n", "column 'T1' has no name, or another column has the same"),
            ("case,,T1\n", "column '' has no name"),
            ("case,T1\na\n", "row 2: 1 cells, the first row has 2 columns"),
            ("case,T1\na,b,c\n", "row 2: 3 cells"),
            ("case,T1\n,b\n", "row 2: the column 'case' is empty"),
            ("case,T1\na,b\nc,d\na,e\n", "case 'a' stands in the rows 2 and 4"),
        ],
    )
    def test_bad_tables(self, text, message, tmp_path):
        with pytest.raises(DataError, match=message):
            read(tmp_path, text)

    def test_other_encoding_and_no_file(self, tmp_path):
        with pytest.raises(DataError, match="is not text in UTF-8"):
            read(tmp_path, "case,T1\nä,b\n", encoding="latin-1")
        with pytest.raises(DataError, match=r"none\.csv is not there"):
            read_table(tmp_path / "none.csv", "case")
