"""Files that others may have touched: read, refused in words, or put aside."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import pytest
from pydantic import ConfigDict
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.documents import CsvDocument, Document


class Part(TypedDict):
    spacing: list[float]
    note: NotRequired[str | None]


class Whole(TypedDict):
    parts: dict[str, Part]
    labels: dict[str, int | list[int]]


class Closed(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(extra="forbid")
    kind: Literal["a", "b", "c"]


CLOSED = Document(Closed, "a kind", "Put it back.", SettingsError)
WHOLE = Document(Whole, "a whole", "Put it back.", SettingsError)
GOOD = {"parts": {"a": {"spacing": [1, 2.5], "more": 1}}, "labels": {"x": 1, "y": [1, 2]}, "more": []}
TABLE = CsvDocument({"case": str, "n": int}, "a table", "Make it again.", other=float | None)


def spoilt(**changes) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


WRONG_TEXTS = {
    b"": "is empty",
    b" \n": "is empty",
    b"{": "is not valid JSON (Expecting property name",
    b"\xff{}": "is not text in UTF-8 (byte 1 is 0xff)",
    b"\x00\x01\x02": "is not valid JSON",
    b"\xef\xbb\xbf{}": "begins with a byte order mark; save it as UTF-8 without one",
    b"[" * 100_000: "is nested too deeply",
    b"[]": "it is a list, not an object",
    b"null": "it is null, not an object",
    b"{}": "'parts' is missing",
    spoilt(parts=None): "'parts' is null, not an object",
    spoilt(parts={"a": {}}): "'parts.a.spacing' is missing",
    spoilt(parts={"a": {"spacing": [1, "2"]}}): "'parts.a.spacing[1]' is '2', not a number",
    spoilt(parts={"a": {"spacing": [True]}}): "'parts.a.spacing[0]' is true, not a number",
    spoilt(parts={"a": {"spacing": [], "note": 3}}): "'parts.a.note' is 3, not a text",
    spoilt(labels={"x": 1.5}): "'labels.x' is 1.5, not a whole number or a list",
    spoilt(labels={"x": [1, "2" * 999]}): "'labels.x[1]' is '222",
}


class TestDocument:
    def test_content_comes_back_with_what_the_schema_does_not_name(self, tmp_path):
        file = tmp_path / "whole.json"
        file.write_text(json.dumps(GOOD), encoding="utf-8")
        assert WHOLE.read(file) == GOOD

    @pytest.mark.parametrize(("text", "words"), WRONG_TEXTS.items(), ids=[str(text[:30]) for text in WRONG_TEXTS])
    def test_wrong_content_is_refused(self, text, words, tmp_path):
        file = tmp_path / "whole.json"
        file.write_bytes(text)
        with pytest.raises(SettingsError) as refusal:
            WHOLE.read(file)
        message = str(refusal.value)
        assert message.startswith(str(file)) and words in message
        assert message.endswith("Expected: a whole. Put it back.")
        assert len(message) < 300 + len(str(file))

    @pytest.mark.parametrize(
        ("content", "words"),
        [({"kind": "d"}, "'kind' is 'd', not 'a', 'b' or 'c'."), ({"of": 1}, "'of' is not known.")],
    )
    def test_choices_are_all_named_and_so_is_what_must_not_be_there(self, content, words):
        with pytest.raises(SettingsError) as refusal:
            CLOSED.check(content, "closed.yaml")
        assert f"closed.yaml does not fit: {words}" in str(refusal.value)

    def test_what_is_no_file_is_refused(self, tmp_path):
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        words = {"none": "is not there", "loop": "cannot be read", "folder": "is a folder", "pipe": "is no file"}
        for name, text in words.items():
            with pytest.raises(SettingsError, match=text):
                WHOLE.read(tmp_path / name)
        assert WHOLE.read_if_there(tmp_path / "none") is None

    def test_what_only_helps_is_put_aside(self, tmp_path, capsys):
        file = tmp_path / "whole.json"
        for text in (b"{", b"[]"):
            file.write_bytes(text)
            assert WHOLE.or_aside(file) is None
            assert not file.exists() and (tmp_path / "whole.json.damaged").read_bytes() == text
            assert f"WARNING: {file} " in capsys.readouterr().out
        assert WHOLE.or_aside(file) is None
        assert capsys.readouterr().out == ""

    def test_a_folder_under_its_name_is_put_aside(self, tmp_path):
        file = tmp_path / "whole.json"
        for name in ("whole.json.damaged", "whole.json.damaged2"):
            (file / "inside").mkdir(parents=True)
            assert WHOLE.or_aside(file) is None
            assert (tmp_path / name / "inside").is_dir()

    def test_update_begins_anew_what_is_damaged(self, tmp_path):
        counts = Document(dict[str, int], "counts", "Delete it.")
        file = tmp_path / "counts.json"
        file.write_text('{"a": "b"}', encoding="utf-8")
        counts.update(file, lambda content: {**content, "c": 1})
        assert counts.read(file) == {"c": 1}
        counts.update(file, lambda content: {**content, "d": 2})
        assert counts.read(file) == {"c": 1, "d": 2}
        counts.update(file, lambda content: {})
        assert not file.exists()


class TestCsvDocument:
    def test_cells_get_their_types(self, tmp_path):
        file = tmp_path / "table.csv"
        file.write_text('case,n,x\n"a,b",1,0.5\n', encoding="utf-8")
        assert TABLE.read(file) == [{"case": "a,b", "n": 1, "x": 0.5}]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (b"", "is empty"),
            (b"\xff\xfe", "is not text in UTF-8"),
            (b"case,m\n", "has no column 'n'; it begins with 'case, m'"),
            (b"case,n,n\n", "has two columns 'n'"),
            (b"case,n\na,1\nb\n", "has 1 cells in line 3 and 2 columns"),
            (b"case,n\na,1.5\n", "has '1.5' in line 2, column 'n', not a whole number"),
            (b"case,n,x\na,1,high\n", "has 'high' in line 2, column 'x', not a number"),
            (b'case,n\n"a,1\n', "is no CSV table"),
        ],
    )
    def test_wrong_content_is_refused_or_put_aside(self, text, words, tmp_path, capsys):
        file = tmp_path / "table.csv"
        file.write_bytes(text)
        with pytest.raises(DataError) as refusal:
            TABLE.read(file)
        assert str(refusal.value).startswith(str(file)) and words in str(refusal.value)
        assert TABLE.or_aside(file) == []
        assert not file.exists() and words in capsys.readouterr().out

    def test_nothing_there(self, tmp_path):
        assert TABLE.or_aside(tmp_path / "none.csv") == []
        with pytest.raises(DataError, match="is not there"):
            TABLE.read(Path(tmp_path / "none.csv"))
