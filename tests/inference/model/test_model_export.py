"""``nnunet_hetero export-model``, and ``install-model`` from an address."""

from __future__ import annotations

import shutil
import threading
import zipfile
from dataclasses import replace

import pytest
from helpers.accidents.file_server import Server
from helpers.calibrated import predictor_of

from nnunet_hetero.cli.main import main
from nnunet_hetero.inference.model.model_archive import install_model
from nnunet_hetero.io.digests import sha256_of
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER

NAME = f"Dataset501_Tiny/{DEFAULT_TRAINER}__nnUNetPlans__3d_fullres"
MODEL = ("-d", "501", "-c", "3d_fullres")
TABLE = "| T1 | mean |\n|---|---|\n| ● | 71.5 |"


@pytest.fixture
def results(tiny_model, nnunet_folders, tmp_path, monkeypatch):
    """``nnUNet_results`` with a tiny model of two folds, the first of which was evaluated, and things to leave out."""
    folder = tmp_path / "results"
    shutil.copytree(tiny_model.folder, folder / NAME)
    evaluation = folder / NAME / "fold_0" / "evaluation"
    evaluation.mkdir()
    (evaluation / "table.md").write_text(TABLE, encoding="utf-8")
    (folder / NAME / "fold_0" / "training_log_2026.txt").write_text("a name of a person")
    monkeypatch.setenv("nnUNet_results", str(folder))
    return folder


def members(file) -> list[str]:
    return sorted(name.removeprefix(f"{NAME}/") for name in zipfile.ZipFile(file).namelist())


class TestExport:
    def test_what_prediction_needs_and_the_evaluation(self, results, tmp_path, capsys):
        assert main(["export-model", *MODEL, "-f", "0", "-o", str(tmp_path / "model.zip")]) == 0
        assert members(tmp_path / "model.zip") == [
            "dataset.json",
            "fold_0/checkpoint_final.pth",
            "fold_0/evaluation/table.md",
            "plans.json",
        ]
        assert sha256_of(tmp_path / "model.zip") in capsys.readouterr().out

    def test_the_calibration_travels_and_holds_where_the_model_is_installed(self, calibrated_model, tmp_path, capsys):
        assert main(["export-model", "-m", str(calibrated_model.folder), "-o", str(tmp_path / "model.zip")]) == 0
        found = [name for name in members(tmp_path / "model.zip") if "calibration" in name]
        names = ("coverage", "predicted_dice", "reliability", "risk_coverage", "widths")
        pictures = [f"calibration/figures/{name}.png" for name in names]
        assert found == ["calibration.json", *pictures, "calibration/quality.csv", "calibration/rows.csv"]
        (installed,) = install_model(tmp_path / "model.zip", tmp_path / "elsewhere")
        model = predictor_of(replace(calibrated_model, folder=installed)).model
        assert model.calibration is not None and model.calibration.folds == ("0", "1")

    def test_a_file_of_another_kind_is_not_replaced(self, results, tmp_path, capsys):
        """As after a slip: a checkpoint is a zip file, too."""
        checkpoint = results / NAME / "fold_0" / "checkpoint_final.pth"
        before = checkpoint.read_bytes()
        assert main(["export-model", *MODEL, "-o", str(checkpoint)]) == 1
        assert "is there already, and is not an exported model" in capsys.readouterr().err
        assert checkpoint.read_bytes() == before
        for _ in range(2):
            assert main(["export-model", *MODEL, "-o", str(tmp_path / "model.zip")]) == 0

    def test_all_folds_that_are_there(self, results, tmp_path):
        assert main(["export-model", "-m", str(results / NAME), "-o", str(tmp_path / "model.zip")]) == 0
        found = members(tmp_path / "model.zip")
        assert {"fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth"} <= set(found)

    def test_the_page(self, results, tmp_path):
        flags = ("--card", "--licence", "CC-BY-4.0")
        assert main(["export-model", *MODEL, "-f", "0", "-o", str(tmp_path / "model.zip"), *flags]) == 0
        page = zipfile.ZipFile(tmp_path / "model.zip").read(f"{NAME}/README.md").decode()
        for words in (
            "whole tumor, tumor core and enhancing tumor",
            "T1, T1c, T2 and FLAIR",
            "completes the others",
            "CC-BY-4.0",
            "1 × 1 × 1 mm",
            "not a medical device",
            TABLE,
        ):
            assert words in page

    def test_a_model_that_was_not_evaluated_says_so(self, results, tmp_path):
        assert main(["export-model", *MODEL, "-f", "1", "-o", str(tmp_path / "model.zip"), "--card"]) == 0
        page = zipfile.ZipFile(tmp_path / "model.zip").read(f"{NAME}/README.md").decode()
        assert "Not evaluated" in page and "not stated" in page and TABLE not in page

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (("-d", "501"), "Which model?"),
            ((*MODEL, "-m", "/nowhere"), "Give one of them"),
            ((*MODEL, "-f", "3"), "for fold(s) 3"),
            ((*MODEL, "-f", "0", "1", "0"), "Fold 0 is named more than once"),
            ((*MODEL, "-chk", "other.pth"), "no other.pth"),
            (("-m", "/nowhere"), "no trained model"),
        ],
    )
    def test_what_is_not_there(self, results, tmp_path, capsys, flags, words):
        assert main(["export-model", *flags, "-o", str(tmp_path / "model.zip")]) == 1
        assert words in capsys.readouterr().err
        assert not (tmp_path / "model.zip").exists()

    def test_a_renamed_folder(self, results, tmp_path, capsys):
        (results / NAME).rename(tmp_path / "renamed")
        assert main(["export-model", "-m", str(tmp_path / "renamed"), "-o", str(tmp_path / "model.zip")]) == 1
        assert "TRAINER__PLANS__CONFIGURATION" in capsys.readouterr().err


class TestInstallFromAnAddress:
    @pytest.fixture
    def server(self, results, tmp_path):
        main(["export-model", *MODEL, "-f", "0", "-o", str(tmp_path / "model.zip"), "--card"])
        with Server((tmp_path / "model.zip").read_bytes()) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            yield running
            running.shutdown()

    def test_installs_and_leaves_nothing_else(self, server, results, tmp_path, monkeypatch):
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "other"))
        digest = sha256_of(tmp_path / "model.zip")
        assert main(["install-model", f"{server.address}/model.zip", "--sha256", digest]) == 0
        installed = tmp_path / "other" / NAME
        assert (installed / "plans.json").read_bytes() == (results / NAME / "plans.json").read_bytes()
        assert [entry.name for entry in (tmp_path / "other").iterdir()] == ["Dataset501_Tiny"]

    def test_another_file_is_refused(self, server, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "other"))
        assert main(["install-model", f"{server.address}/model.zip", "--sha256", "0" * 64]) == 1
        assert "SHA-256" in capsys.readouterr().err
        assert not (tmp_path / "other" / "Dataset501_Tiny").exists()

    def test_a_file_is_compared_too(self, server, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "other"))
        assert main(["install-model", str(tmp_path / "model.zip"), "--sha256", "0" * 64]) == 1
        assert "expected is 000" in capsys.readouterr().err
