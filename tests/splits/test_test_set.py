"""Test cases out of nnU-Net's sight, and back."""

from __future__ import annotations

import json
import os

import pytest
from helpers.cohorts.split_cohort import CASES, GAPS, ROWS, cases_in, content, split, written

from nnunet_hetero.cli.main import main


class TestTestSet:
    def test_nnunet_does_not_see_it(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES, GAPS, ROWS)
        before = content(raw)
        assert split("--test", "0.2") == 0
        folds, record = written(preprocessed)
        test = record["test"][0]
        assert record["test_is_moved"] is True and record["test"] == [test] * 5 and len(test) in (2, 3)
        rest = [case for case in CASES if case not in test]
        assert cases_in(raw, "imagesTr") == rest and cases_in(raw, "imagesTs") == test
        assert {path.name for path in (raw / "labelsTs").iterdir()} == {f"{case}.nii.gz" for case in test}
        assert json.loads((raw / "dataset.json").read_text())["numTraining"] == len(rest)
        assert all(sorted(fold["train"] + fold["val"]) == rest for fold in folds)
        assert not {case[:-4] for case in test} & {case[:-4] for case in rest}
        # Each file holds its case's name, so none was mixed up.
        for folder in ("imagesTs", "labelsTs"):
            assert all(path.name.startswith(path.read_text()) for path in (raw / folder).iterdir())

        assert split("--undo") == 0
        after = content(raw)
        assert {**after, "dataset.json": b""} == {**before, "dataset.json": b""}
        assert json.loads(after["dataset.json"]) == json.loads(before["dataset.json"])
        assert list(preprocessed.iterdir()) == []

    def test_new_folds_beside_the_same_test_set(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES)
        assert split("--test", "0.2") == 0
        test = written(preprocessed)[1]["test"][0]
        assert split("--folds", "3", "--overwrite") == 0
        _, record = written(preprocessed)
        assert record["test"] == [test] * 3 and record["test_is_moved"] is True
        assert split("--test", "0.3", "--overwrite") == 1
        assert "Bring them back with --undo" in capsys.readouterr().err
        assert cases_in(raw, "imagesTs") == test

    def test_of_a_converter(self, write_dataset, write_files, preprocessed, capsys):
        write_dataset(CASES[2:])
        write_files("other-1", "Ts")
        assert split() == 0
        assert written(preprocessed)[1]["test"] == [["other-1"]] * 5
        assert "1 cases in imagesTs with label maps in labelsTs are test cases of all folds" in capsys.readouterr().out
        assert split("--test", "0.2", "--overwrite") == 1
        assert "test cases already" in capsys.readouterr().err

    def test_other_scan_of_a_training_patient(self, write_dataset, write_files, capsys):
        write_dataset(CASES)
        write_files(f"{CASES[4][:-4]}-100", "Ts")
        assert split() == 1
        assert f"Case '{CASES[4]}' in imagesTr is of patient '{CASES[4][:-4]}'" in capsys.readouterr().err
        assert split("--ungrouped") == 0

    def test_dataset_that_is_planned_is_refused(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES)
        preprocessed.mkdir()
        (preprocessed / "dataset_fingerprint.json").write_text("{}")
        before = content(raw)
        assert split("--test", "0.2") == 1
        assert "has planned Dataset501_Gaps already" in capsys.readouterr().err
        assert content(raw) == before
        assert split("--test", "0.2", "--keep-test") == 0
        folds, record = written(preprocessed)
        assert record["test_is_moved"] is False and content(raw) == before
        assert all(not set(record["test"][0]) & {*fold["train"], *fold["val"]} for fold in folds)

    def test_nothing_moves_when_a_file_is_in_the_way(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES)
        assert split("--test", "0.2", "--dry-run") == 0
        for case in CASES:
            (raw / "imagesTs").mkdir(exist_ok=True)
            (raw / "imagesTs" / f"{case}_0002.nii.gz").write_text("mine")
        before = content(raw)
        assert split("--test", "0.2") == 1
        assert "is there already" in capsys.readouterr().err
        assert content(raw) == before and not preprocessed.exists()

    def test_stopped_half_way_and_undone(self, write_dataset, raw, preprocessed, monkeypatch, capsys):
        write_dataset(CASES)
        before = content(raw)
        replace, moved = os.replace, []

        def stopped(source, target):
            if "imagesTs" in str(target):
                if len(moved) == 3:
                    raise KeyboardInterrupt
                moved.append(target)
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stopped)
            with pytest.raises(KeyboardInterrupt):
                split("--test", "0.2")
        assert not preprocessed.exists()
        assert split() == 1
        assert "was stopped while it moved test cases" in capsys.readouterr().err
        assert split("--undo") == 0
        assert {**content(raw), "dataset.json": b""} == {**before, "dataset.json": b""}
        assert split("--test", "0.2") == 0

    def test_undo_leaves_splits_that_are_not_ours(self, write_dataset, preprocessed, capsys):
        write_dataset(CASES)
        preprocessed.mkdir()
        (preprocessed / "splits_final.json").write_text("[]")
        assert split("--undo") == 0
        assert (preprocessed / "splits_final.json").read_text() == "[]"
        assert "Removed: nothing" in capsys.readouterr().out


def test_converter_does_not_put_moved_test_cases_back(raw, tmp_path, capsys):
    convert = ["convert", "brats", "-i", str(tmp_path / "cohort"), "-d", "501", "--name", "Gaps", "-np", "1"]
    assert main(["convert", "phantom", "-o", str(tmp_path / "cohort"), "--cases", "5", "--size", "16"]) == 0
    assert main(convert) == 0
    assert split("--folds", "2", "--test", "0.2") == 0
    (test,) = cases_in(raw, "imagesTs")
    assert main(convert) == 1
    assert "Bring them back with 'nnunet_hetero splits --undo'" in capsys.readouterr().err
    assert cases_in(raw, "imagesTs") == [test] and test not in cases_in(raw, "imagesTr")
    assert split("--undo") == 0
    assert main(convert) == 0
    assert "5 of them from an earlier run" in capsys.readouterr().out
