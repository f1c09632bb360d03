"""Which scan belongs to which."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.change.pairs import Pair, pairs_by_name, read_pairs

BEFORE, AFTER = {"ann_1", "bob_1"}, {"ann_2", "ann_3", "bob_1"}


def table(tmp_path, text):
    file = tmp_path / "pairs.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_table_equal_names_are_a_pair():
    pairs, alone = pairs_by_name(BEFORE, AFTER)
    assert pairs == [Pair("bob_1", "bob_1")]
    assert alone == ["ann_1", "ann_2", "ann_3"]


def test_folders_without_a_common_name_need_a_table():
    with pytest.raises(DataError, match=r"ann_1.*--pairs"):
        pairs_by_name({"ann_1"}, {"ann_2"})


def test_a_scan_may_be_in_several_pairs(tmp_path):
    file = table(tmp_path, "patient;After;Before\nAnn;ann_2;ann_1\nAnn;ann_3;ann_1\n")
    assert read_pairs(file, BEFORE, AFTER) == [Pair("ann_1", "ann_2"), Pair("ann_1", "ann_3")]
    assert read_pairs(file, BEFORE, AFTER)[0].name == "ann_1 → ann_2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("before,later\nann_1,ann_2\n", "'before' and 'after'"),
        ("before,after,after\nann_1,ann_2,ann_2\n", "'before' and 'after'"),
        ("before,after\n", "no pair"),
        ("before,after\nann_1,ann_9\n", r"row 2.*'ann_9'.*--after.*ann_2, ann_3, bob_1"),
        ("before,after\nann_9,ann_2\n", r"row 2.*'ann_9'.*--before"),
        ("before,after\nann_1,ann_2\nann_1,ann_2\n", "row 3.*twice"),
        ("before,after\nann_1\n", "row 2: 1 cells"),
    ],
)
def test_a_table_that_may_be_a_mistake_is_refused(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_pairs(table(tmp_path, text), BEFORE, AFTER)
