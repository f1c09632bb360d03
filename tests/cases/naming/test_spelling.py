"""Names that differ in upper and lower case alone."""

from __future__ import annotations

from nnunet_hetero.cases.naming.spelling import spelled_otherwise


def test_names_that_some_file_systems_do_not_tell_apart():
    assert spelled_otherwise(["a", "b", "a"]) == {}
    assert spelled_otherwise(["a", "A", "b", "straße", "STRASSE"]) == {
        **{"a": "A", "A": "a"},
        **{"straße": "STRASSE", "STRASSE": "straße"},
    }
    three = spelled_otherwise(["ab", "AB", "Ab"])
    assert set(three) == {"ab", "AB", "Ab"} and all(name != other for name, other in three.items())
