"""``nnunet_hetero splits``: what it writes, moves and refuses."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from helpers.cohorts.split_cohort import CASES, GAPS, ROWS, content, split, written
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


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

    def test_cases_without_a_segmentation_are_for_training_alone(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES, GAPS, ROWS)
        content = json.loads((raw / "dataset.json").read_text())
        content["labels"]["ignore"] = 2
        content["unlabelled_cases"] = [CASES[0], CASES[5]]
        (raw / "dataset.json").write_text(json.dumps(content))
        assert split() == 0
        folds, _ = written(preprocessed)
        patient = {row[0]: row[1] for row in ROWS[1:]}
        for fold in folds:
            held_out = {patient[case] for case in fold["val"]}
            for case in content["unlabelled_cases"]:
                assert case not in fold["val"] and (case in fold["train"]) == (patient[case] not in held_out)
        assert sorted(case for fold in folds for case in fold["val"]) == sorted(set(CASES) - {CASES[0], CASES[5]})
        assert "2 case(s) have no segmentation" in capsys.readouterr().out

    def test_without_any_segmentation(self, write_dataset, raw, preprocessed, capsys):
        write_dataset(CASES)
        content = json.loads((raw / "dataset.json").read_text())
        content |= {"labels": {"background": 0, "tumor": 1, "ignore": 2}, "unlabelled_cases": CASES}
        (raw / "dataset.json").write_text(json.dumps(content))
        assert split() == 1
        assert "No case of" in capsys.readouterr().err and not preprocessed.exists()

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

    def test_import_trains_on_no_case_without_a_segmentation_that_it_holds_out(
        self, write_dataset, raw, preprocessed, tmp_path, capsys
    ):
        write_dataset(CASES)
        content = json.loads((raw / "dataset.json").read_text())
        content |= {"labels": {"background": 0, "tumor": 1, "ignore": 2}, "unlabelled_cases": [CASES[5], CASES[6]]}
        (raw / "dataset.json").write_text(json.dumps(content))
        table = tmp_path / "published.csv"
        words = dict.fromkeys(CASES, "Training") | {CASES[5]: "Validation", CASES[7]: "Validation"}
        table.write_text("".join(f"{case},{word}\n" for case, word in words.items()))
        assert split("--csv", str(table), "--ungrouped") == 0
        folds, _ = written(preprocessed)
        assert folds == [{"train": [c for c in CASES if c not in (CASES[5], CASES[7])], "val": [CASES[7]]}]
        out = capsys.readouterr().out
        assert f"1 cases for validation or inference have no segmentation, and are in no part: {CASES[5]}" in out
        assert "are no case of the dataset" not in out

    def test_a_pattern_that_fits_no_name_is_refused(self, write_dataset, preprocessed, capsys):
        write_dataset(CASES)
        assert split("--patient-pattern", r"patient(\d+)") == 1
        assert "fits no case name, such as" in capsys.readouterr().err and not preprocessed.exists()

    def test_cases_of_whose_patients_the_user_says_nothing_are_named(self, write_dataset, tmp_path, capsys):
        write_dataset(CASES)
        assert split("--patient-pattern", f"({CASES[0]})", "--dry-run") == 0
        assert f"does not fit {len(CASES) - 1} of {len(CASES)} case names, such as" in capsys.readouterr().out
        table = tmp_path / "patients.csv"
        table.write_text(f"case,patient\n{CASES[0]},x\n")
        assert split("--table", str(table), "--dry-run") == 0
        assert f"has no row for {len(CASES) - 1} case(s), such as {CASES[1]}" in capsys.readouterr().out

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
