"""``nnunet_hetero splits``: what it writes, moves and refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

from nnunet_hetero.cli.main import main

CASES = [f"BraTS-GLI-{patient:05d}-{scan:03d}" for patient in range(10) for scan in range(1 + (patient == 0))]
ROWS = [["case", "patient", "site", "grade"], *([case, case[:-4], "AB"[int(case[-5]) % 2], ""] for case in CASES)]
GAPS = {CASES[3]: ["T2"], CASES[7]: ["T2", "T1"]}


def split(*arguments: str) -> int:
    return main(["splits", "-d", "501", *arguments])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def written(preprocessed: Path) -> tuple[list[dict], dict]:
    files = ("splits_final.json", "hetero_splits.json")
    return tuple(json.loads((preprocessed / name).read_text()) for name in files)


def cases_in(raw: Path, folder: str) -> list[str]:
    return list(get_identifiers_from_splitted_dataset_folder(str(raw / folder), ".nii.gz"))


class TestFolds:
    def test_five_folds_and_their_table(self, write_dataset, preprocessed, capsys):
        write_dataset(CASES, GAPS, ROWS)
        assert split() == 0
        folds, record = written(preprocessed)
        assert [set(fold) for fold in folds] == [{"train", "val"}] * 5
        assert all(sorted(fold["train"] + fold["val"]) == CASES for fold in folds)
        assert record == {"scheme": "kfold", "seed": 0, "test_is_moved": False, "test": [[]] * 5}
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert lines[0] == ["all", *(word for number in range(5) for word in ("fold", str(number)))]
        rows = {" ".join(line[:-6]): line[-6:] for line in lines[1:8]}
        assert set(rows) == {"cases", "patients", "site A", "site B", "complete", "without T1", "without T2"}
        assert rows["cases"] == ["11", *(f"{len(fold['train'])}/{len(fold['val'])}" for fold in folds)]
        assert rows["without T1"] == [
            "1",
            *("01"[CASES[7] in f["train"]] + "/" + "01"[CASES[7] in f["val"]] for f in folds),
        ]

    def test_nnunet_trains_on_them(self, write_dataset, preprocessed):
        write_dataset(CASES)
        assert split("--scheme", "paper") == 0
        folds, _ = written(preprocessed)
        trainer = SimpleNamespace(
            fold=1,
            dataset_class=lambda *arguments, **keywords: None,
            preprocessed_dataset_folder="",
            preprocessed_dataset_folder_base=str(preprocessed),
            folder_with_segs_from_previous_stage=None,
            print_to_log_file=print,
        )
        assert nnUNetTrainer.do_split(trainer) == (folds[1]["train"], folds[1]["val"])

    def test_paper(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES, GAPS)
        before = content(raw)
        assert split("--scheme", "paper") == 0
        folds, record = written(preprocessed)
        assert len(folds) == 3 and record["test_is_moved"] is False
        for fold, test in zip(folds, record["test"], strict=True):
            assert sorted([*fold["train"], *fold["val"], *test]) == CASES
        out = capsys.readouterr().out
        assert "each fold has others, so they cannot be moved" in out and "fold 'all' would train on them" in out
        assert content(raw) == before

    def test_import_names_what_does_not_match(self, write_dataset, preprocessed, tmp_path, capsys):
        write_dataset(CASES)
        table = tmp_path / "published.csv"
        words = dict.fromkeys(CASES[2:], "Training") | {CASES[5]: "Validation", CASES[6]: "Inference"}
        table.write_text("".join(f"{case},{word}\n" for case, word in words.items()) + "BraTS-GLI-99999-000,Training\n")
        assert split("--csv", str(table), "--keep-test") == 0
        folds, record = written(preprocessed)
        assert folds == [{"train": [c for c in CASES[2:] if c not in (CASES[5], CASES[6])], "val": [CASES[5]]}]
        assert record["test"] == [[CASES[6]]] and record["tables"] == ["published.csv"]
        out = capsys.readouterr().out
        assert "1 subjects of the table are no case of the dataset: BraTS-GLI-99999-000" in out
        assert (
            f"2 cases of the dataset are not in the table, and so in no part of the fold: {CASES[0]}, {CASES[1]}" in out
        )

    def test_modality_that_a_fold_never_sees(self, write_dataset, capsys):
        write_dataset(CASES, {case: ["T1c"] for case in CASES[1:]})
        assert split() == 0
        assert "trains on no case with T1c" in capsys.readouterr().out

    def test_dry_run_writes_nothing(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES)
        before = content(raw)
        assert split("--test", "0.2", "--dry-run") == 0
        assert "Nothing was written" in capsys.readouterr().out
        assert content(raw) == before and not preprocessed.exists()

    def test_existing_splits_are_kept(self, write_dataset, preprocessed, capsys):
        write_dataset(CASES)
        preprocessed.mkdir()
        (preprocessed / "splits_final.json").write_text("[]")
        assert split() == 1
        assert "--overwrite" in capsys.readouterr().err
        assert (preprocessed / "splits_final.json").read_text() == "[]"
        assert split("--overwrite") == 0
        assert len(written(preprocessed)[0]) == 5

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--scheme", "import"], "needs --csv"),
            (["--scheme", "paper", "--test", "0.2"], "--test belongs to --scheme kfold, not to paper"),
            (["--scheme", "kfold", "--csv", "x.csv"], "--csv belongs to --scheme import"),
            (["--names", "x.csv"], "--names belongs to --scheme import"),
            (["--csv", "no_such.csv"], "no_such.csv is not there"),
        ],
    )
    def test_flags_that_do_not_fit(self, arguments, message, write_dataset, preprocessed, capsys):
        write_dataset(CASES)
        assert split(*arguments) == 1
        assert message in capsys.readouterr().err
        assert not preprocessed.exists()

    def test_unknown_dataset(self, raw, capsys):
        assert split() == 1
        assert "Could not find a dataset with the ID 501" in capsys.readouterr().err


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
