"""The splits on disk, and which cases a fold has never seen."""

from __future__ import annotations

import json

import pytest

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.splits.record import RECORD, SPLITS, held_out_names, refuse_existing, write_splits
from nnunet_hetero.splits.schemes import Fold

FOLDS = [Fold(["a", "b"], ["c"], ["d"]), Fold(["a", "c"], ["b"], ["d"])]


@pytest.mark.parametrize("moved", [True, False])
def test_both_files(tmp_path, moved):
    refuse_existing(tmp_path)
    write_splits(tmp_path / "made", FOLDS, moved, {"scheme": "kfold", "seed": 3})
    splits = json.loads((tmp_path / "made" / SPLITS).read_text())
    assert splits == [{"train": ["a", "b"], "val": ["c"]}, {"train": ["a", "c"], "val": ["b"]}]
    record = json.loads((tmp_path / "made" / RECORD).read_text())
    assert record == {"scheme": "kfold", "seed": 3, "test_is_moved": moved, "test": [["d"], ["d"]]}
    with pytest.raises(SettingsError, match="is there already"):
        refuse_existing(tmp_path / "made")


class TestHeldOut:
    def test_of_a_fold(self, tmp_path):
        write_splits(tmp_path, FOLDS, False, {})
        assert held_out_names(tmp_path, 1) == ["d"] == held_out_names(tmp_path, "0")
        with pytest.raises(SettingsError, match="There is no fold 2;"):
            held_out_names(tmp_path, 2)

    def test_all_has_seen_them_unless_they_were_moved(self, tmp_path):
        write_splits(tmp_path, FOLDS, False, {})
        with pytest.raises(SettingsError, match="trained on every case in imagesTr"):
            held_out_names(tmp_path, "all")
        write_splits(tmp_path, FOLDS, True, {})
        assert held_out_names(tmp_path, "all") == ["d"]

    def test_none_are_known(self, tmp_path):
        with pytest.raises(DataError, match="no test cases are known"):
            held_out_names(tmp_path, 0)
