"""Evaluation of the test cases that ``nnunet_hetero splits`` held out."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers.tiny_model import CHANNELS, TinyModel, tiny_dataset_json, write_json

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.sweep.labelled import held_out_cases
from nnunet_hetero.modalities import Modalities


@pytest.fixture
def model(tiny_model, tmp_path, monkeypatch) -> TinyModel:
    """A copy of the tiny model, with nnU-Net's variables."""
    for folder in ("raw", "preprocessed", "results"):
        source = getattr(tiny_model, folder)
        shutil.copytree(source, tmp_path / folder)
        monkeypatch.setenv(f"nnUNet_{folder}", str(tmp_path / folder))
    dataset = tiny_model.dataset
    folder = tmp_path / "results" / tiny_model.folder.relative_to(tiny_model.results)
    return TinyModel(tmp_path / "raw", tmp_path / "preprocessed", tmp_path / "results", dataset, folder)


def evaluate(*arguments: str) -> int:
    device = ["-device", "cpu", "--disable_tta", "--disable_progress_bar", "--subsets", "T1"]
    return main(["evaluate", "-d", "501", "-c", "3d_fullres", "--split", "test", *device, *arguments])


def find(model: TinyModel, *folds) -> list[str]:
    cases = held_out_cases(model.dataset, folds, Modalities(CHANNELS), tiny_dataset_json())
    return [entry.case.name for entry in cases]


class TestHeldOutCases:
    def test_moved_test_set_is_segmented_by_the_ensemble(self, model, capsys):
        assert main(["splits", "-d", "501", "--folds", "2", "--test", "0.3", "--overwrite"]) == 0
        test = json.loads((model.preprocessed / model.dataset / "hetero_splits.json").read_text())["test"][0]
        assert len(test) == 2
        assert find(model, 0, 1) == find(model, "all") == test
        assert evaluate() == 0
        folder = model.folder / "evaluation_0_1_test"
        assert json.loads((folder / "summary.json").read_text())["cases"] == 2
        assert {line.split(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()[1:]} == set(test)

    def test_each_fold_has_others(self, model, capsys):
        assert main(["splits", "-d", "501", "--scheme", "paper", "--overwrite"]) == 0
        first, second, _ = json.loads((model.preprocessed / model.dataset / "hetero_splits.json").read_text())["test"]
        assert first != second
        assert (find(model, 0), find(model, 1)) == (first, second)
        with pytest.raises(SettingsError, match="The folds 0, 1 have different test cases"):
            find(model, 0, 1)
        with pytest.raises(SettingsError, match="Fold 'all' trained on every case in imagesTr"):
            find(model, "all")
        assert evaluate("-f", "1") == 0
        assert (model.folder / "fold_1" / "evaluation_test" / "table.md").is_file()

    def test_no_record(self, model, capsys):
        assert evaluate() == 1
        assert "'nnunet_hetero splits' writes it" in capsys.readouterr().err

    def test_no_test_cases(self, model):
        assert main(["splits", "-d", "501", "--folds", "2", "--overwrite"]) == 0
        with pytest.raises(DataError, match="Fold 0 has no test cases"):
            find(model, 0)
        with pytest.raises(SettingsError, match="no fold 2"):
            find(model, 2)

    def test_splits_that_were_changed_by_hand(self, model):
        assert main(["splits", "-d", "501", "--scheme", "paper", "--overwrite"]) == 0
        file = model.preprocessed / model.dataset / "splits_final.json"
        splits = json.loads(file.read_text())
        (case,) = find(model, 0)
        write_json(file, [{**splits[0], "train": [*splits[0]["train"], case]}, *splits[1:]])
        with pytest.raises(DataError, match=f"1 test case.* of fold 0, e.g. '{case}', are among its training"):
            find(model, 0)

    def test_case_that_is_gone(self, model):
        assert main(["splits", "-d", "501", "--scheme", "paper", "--overwrite"]) == 0
        (case,) = find(model, 0)
        for file in model.images.glob(f"{case}_*"):
            file.unlink()
        with pytest.raises(DataError, match=f"Case '{case}' is a test case, but has no images"):
            find(model, 0)

    def test_folder_and_split_exclude_each_other(self, model, capsys):
        assert evaluate("-i", "x", "-l", "y", "-o", "z") == 1
        assert "--split test and -i exclude each other" in capsys.readouterr().err
