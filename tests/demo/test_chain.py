"""The whole chain as a user types it: ``nnunet_hetero demo``, small."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.warm import run_warm

from nnunet_hetero.cli.main import main
from nnunet_hetero.demo import chain
from nnunet_hetero.demo.chain import run_demo as run_demo_here
from nnunet_hetero.demo.settings import DemoSettings
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import alone_in

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("nnunet_hetero"))


def run_demo(*arguments: object) -> str:
    """What the demo printed, with one epoch of 24³ voxels."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("nnUNet_")}
    result = run_warm(["nnunet_hetero", "demo", "--epochs", "1", "--size", "24", *arguments], environment)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    """The demo's output folder and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, run_demo("--out", out, "--cases", "5")


class TestDemo:
    def test_says_each_step_and_where_the_results_are(self, demo):
        out, printed = demo
        for number in range(1, 12):
            assert f"[{number}/11]" in printed
        for command in ("convert brats", "nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "--missing t1c", "evaluate"):
            assert command in printed
        assert str(out / "report.html") in printed
        assert "bar of the default settings" in printed

    def test_every_subset_of_every_held_out_case_is_scored(self, demo):
        with (demo[0] / "evaluation" / "metrics.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len({row["subset"] for row in rows}) == 15
        assert len({row["case"] for row in rows}) == 8
        assert {row["region"] for row in rows} == {"whole_tumor", "tumor_core", "enhancing_tumor"}

    def test_volumes_come_with_intervals_or_say_why_not(self, demo):
        assert (
            "Calibrated on 1 patient(s), 1 case(s)" in demo[1]
        )  # one of five cases validates; a level of 0.8 needs four
        with (demo[0] / "predictions" / "all" / "volumes.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["interval_note"] for row in rows} == {
            "1 patient(s) with T1+T1c+T2+FLAIR in the calibration, 80 % needs 4"
        }
        assert {row["whole_tumor_ml_low"] for row in rows} == {""}

    def test_predictions_tell_what_they_were_made_from(self, demo):
        folder = demo[0] / "predictions"
        used = {
            name: json.loads((folder / name / "modalities.json").read_text(encoding="utf-8"))
            for name in ("all", "without_T1c", "only_FLAIR", "files_absent")
        }
        assert {tuple(entry["used"]) for entry in used["all"].values()} == {("T1", "T1c", "T2", "FLAIR")}
        assert {tuple(entry["used"]) for entry in used["without_T1c"].values()} == {("T1", "T2", "FLAIR")}
        assert {tuple(entry["used"]) for entry in used["only_FLAIR"].values()} == {("FLAIR",)}
        assert len({tuple(entry["used"]) for entry in used["files_absent"].values()}) > 4

    def test_the_case_from_the_scanner_came_back(self, demo):
        out = demo[0]
        (case,) = (out / "from_scanner").iterdir()
        for image in case.glob("*_t1ce.nii.gz"):
            back = nibabel.load(out / "returned" / case.name / "segmentation_on_T1c.nii.gz")
            np.testing.assert_allclose(back.affine, nibabel.load(image).affine, atol=1e-4)
        with (out / "intake" / "intake.csv").open(encoding="utf-8") as file:
            assert {row["modality"]: row["became"] for row in csv.DictReader(file)}["FLAIR"] == "registered"
        assert "moved, taken in, and returned" in (out / "report.html").read_text(encoding="utf-8")

    def test_predictions_lie_on_the_grid_of_their_case(self, demo):
        out = demo[0]
        images = out / "nnUNet_raw" / "Dataset502_PhantomHeldOut" / "imagesTr"
        predictions = sorted((out / "predictions" / "files_absent").glob("*.nii.gz"))
        assert len(predictions) == 8
        for path in predictions:
            prediction = nibabel.load(path)
            image = nibabel.load(images / path.name.replace(".nii.gz", "_0000.nii.gz"))
            assert prediction.shape == image.shape
            np.testing.assert_allclose(prediction.affine, image.affine, atol=1e-5)

    def test_the_report_is_self_contained(self, demo):
        page = (demo[0] / "report.html").read_text(encoding="utf-8")
        assert page.count("data:image/png;base64,") >= 3
        assert "<script" not in page and 'src="http' not in page and "<link" not in page
        assert page.count("●") >= 32  # eight subsets of 15 hold each of four modalities

    def test_training_drew_its_second_figure(self, demo):
        fold = next((demo[0] / "nnUNet_results").rglob("fold_0"))
        for name in ("progress.png", "progress_hetero.png", "progress_hetero.json", "checkpoint_final.pth"):
            assert (fold / name).is_file()

    def test_intermediate_data_is_removed(self, demo):
        assert not (demo[0] / "cohort").exists()
        assert not (demo[0] / "nnUNet_preprocessed").exists()


def stop(*_arguments: object) -> None:
    raise KeyboardInterrupt


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["--epochs", "0"], 2, "argument --epochs: '0' is no whole number, 1 or more"),
            (["--cases", "4"], 1, "--cases is 4; it must be at least 5"),
            (["--size", "8"], 1, "--size is 8; it must be at least 24"),
            ([], 1, "has other content (mine.txt)"),
        ],
    )
    def test_refused_before_anything_is_written(self, tmp_path, capsys, arguments, code, message):
        (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
        try:
            found = main(["demo", "--out", str(tmp_path), *arguments])
        except SystemExit as end:
            found = end.code
        assert found == code
        said = capsys.readouterr().err
        assert "error: " in said and message in said and "Traceback" not in said
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_as_a_process(self, tmp_path):
        (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
        result = subprocess.run([COMMAND, "demo", "--out", str(tmp_path)], capture_output=True, text=True, timeout=300)
        assert result.returncode == 1 and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1

    def test_what_an_earlier_demo_left_is_replaced_even_if_that_was_stopped(self, tmp_path, monkeypatch):
        (tmp_path / "demo.json").touch()
        (tmp_path / "report.html").touch()
        (tmp_path / "logs").mkdir()
        monkeypatch.setattr(chain.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            run_demo_here(DemoSettings(tmp_path))
        monkeypatch.undo()
        monkeypatch.setattr(chain, "_run_chain", lambda settings, out: out)
        assert run_demo_here(DemoSettings(tmp_path)) == tmp_path
        assert [path.name for path in tmp_path.iterdir()] == ["demo.json"]

    def test_a_demo_at_work_is_not_replaced(self, tmp_path):
        for name in ("demo.json", "report.html"):
            (tmp_path / name).touch()
        with alone_in(tmp_path), pytest.raises(SettingsError, match="Another process is at work in"):
            run_demo_here(DemoSettings(tmp_path))
        assert (tmp_path / "report.html").exists()


class TestIncomplete:
    def test_trains_on_cases_with_gaps_and_the_report_shows_it(self, tmp_path):
        out = tmp_path / "out"
        printed = run_demo("--out", out, "--cases", "6", "--incomplete")
        assert "6 phantoms to train on, a third of them with gaps" in printed
        assert "Training cases: " in printed

        dataset = json.loads(next((out / "nnUNet_raw").glob("Dataset501_*/dataset.json")).read_text(encoding="utf-8"))
        assert sorted(dataset["missing_modalities"]) == ["BraTS20_Phantom_003", "BraTS20_Phantom_006"]
        page = (out / "report.html").read_text(encoding="utf-8")
        assert "Training cases with gaps" in page and "BraTS20_Phantom_006" in page
        assert (out / "figures" / "modalities.png").is_file()

        fold = next((out / "nnUNet_results").rglob("fold_0"))
        assert (fold / "modalities.png").is_file()
        counts = json.loads((fold / "modalities.json").read_text(encoding="utf-8"))
        assert counts["samples"] == 80
        assert min(entry["there"] for entry in counts["modalities"].values()) < 80
