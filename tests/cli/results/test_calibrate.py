"""The command calibrate on a tiny model, and what prediction makes of it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.calibrated import predictor_of
from helpers.tiny_model import write_case

from nnunet_hetero.cli.main import main
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.reliability.calibration_file import Calibration

COMMAND = ("calibrate", "-d", "501", "-c", "3d_fullres", "-device", "cpu", "--disable_tta", "--disable_progress_bar")


@pytest.fixture
def folder(calibrated_model, nnunet_folders, tmp_path, monkeypatch):
    """A model folder that is calibrated already, so that nothing is measured again."""
    shutil.copytree(calibrated_model.results, tmp_path / "results")
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    return tmp_path / "results" / calibrated_model.folder.relative_to(calibrated_model.results)


def test_it_says_what_it_wrote_and_which_subsets_have_no_interval(folder, capsys):
    assert main([*COMMAND, "--num_samples", "1", "--level", "0.8", "--widths", "fixed"]) == 0
    said = capsys.readouterr().out
    assert "15 subset(s) have no intervals: a level of 0.8 needs 4 patient(s)" in said
    assert f"Calibrated on 3 patient(s), 3 case(s): {folder / 'calibration.json'}" in said
    calibration = Calibration.read(folder / "calibration.json")
    assert calibration.level == 0.8 and not calibration.by_disagreement
    assert "Do the intervals hold?" in (folder / "calibration" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--level", "90"], "--level is 90.0"),
        (["--level", "0.9999999999"], "--level is 0.9999999999; it must be at most"),
        (["--num_samples", "0"], "--num_samples is 0"),
        (["-i", "images"], "-i and -l belong together"),
        (["-f", "7"], "has no checkpoint_final.pth for fold(s) 7"),
    ],
)
def test_what_is_impossible_is_said_and_the_calibration_stays(folder, capsys, flags, message):
    before = (folder / "calibration.json").read_bytes()
    assert main([*COMMAND, *flags]) == 1
    assert message in capsys.readouterr().err
    assert (folder / "calibration.json").read_bytes() == before


def test_help_offers_no_number_of_draws_that_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["calibrate", "-h"])
    said = " ".join(capsys.readouterr().out.split())
    assert "spread over the mirrored views. 1 or more. Default: 10" in said and "0: one pass" not in said


def test_nothing_is_written_for_a_model_that_is_not_there(folder, capsys):
    assert main([*COMMAND, "-p", "OtherPlans"]) == 1
    assert "There is no trained model at" in capsys.readouterr().err
    assert [found.name for found in folder.parent.iterdir()] == [folder.name]


def test_a_table_of_patients_that_lacks_cases_is_warned_of(folder, nnunet_folders, tmp_path, monkeypatch, capsys):
    shutil.copytree(nnunet_folders.raw, tmp_path / "raw")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    (tmp_path / "raw" / nnunet_folders.dataset / "cases.csv").write_text("case,patient\ncase_1,p\ncase_05,q\n")
    assert main([*COMMAND, "-f", "0", "--num_samples", "1"]) == 0
    assert "WARNING: cases.csv has no row for 1 case(s), such as case_00" in capsys.readouterr().out


def test_a_case_that_cannot_be_used_gives_exit_code_1(folder, tmp_path, capsys):
    for name in "ab":
        write_case(tmp_path / "images", name, seed=30, labels=tmp_path / "labels")
    (tmp_path / "images" / "b_0001.nii.gz").write_bytes(b"no image")
    data = ["-i", str(tmp_path / "images"), "-l", str(tmp_path / "labels")]
    assert main([*COMMAND, "-f", "0", "--num_samples", "1", *data]) == 1
    said = capsys.readouterr().out
    assert "error: " in said and "b_0001.nii.gz" in said and "Calibrated on 1 patient(s), 1 case(s)" in said


class TestPrediction:
    def test_intervals_beside_the_volumes(self, calibrated_model, nnunet_folders, tmp_path, capsys):
        write_case(tmp_path / "in", "a", present=(0, 3))
        predictor = predictor_of(calibrated_model)
        predictor.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
        assert "no intervals" not in capsys.readouterr().out
        with (tmp_path / "out" / "volumes.csv").open(newline="", encoding="utf-8") as stream:
            (row,) = csv.DictReader(stream)
        assert (row["interval_level"], row["interval_cases"], row["interval_note"]) == ("0.5", "3", "")
        calibration = Calibration.read(tmp_path / "out" / "calibration.json")
        assert calibration == Calibration.read(calibrated_model.folder / "calibration.json")
        said = json.loads((tmp_path / "out" / "run.json").read_text())["cases"]["a"]["statements"]
        assert (said["unit"], said["voxel"], said["folds"]) == ("ml", pytest.approx(0.001), ["0", "1"])
        # CV+ of three patients at a level of one half: the second smallest of both limits, all by hand.
        of_folds = calibration.scores["tumor core"]["T1+FLAIR"]
        places, halves = [], []
        for place, fold in enumerate(said["folds"]):
            for score in of_folds[fold]:
                places.append(np.log(said["sizes"]["tumor core"][place] + 0.1))
                halves.append(score * (0.1 + said["disagreement"]["tumor core"][place]))
        low, high = (np.exp(sorted(np.array(places) + sign * np.array(halves))[1]) - 0.1 for sign in (-1, 1))
        volume = float(row["tumor_core_ml"])
        assert float(row["tumor_core_ml_low"]) == pytest.approx(max(0, min(low, volume)), rel=1e-4)
        assert float(row["tumor_core_ml_high"]) == pytest.approx(max(min(high, said["image"]), volume), rel=1e-4)
        images = {"T1": tmp_path / "in" / "a_0000.nii.gz", "FLAIR": tmp_path / "in" / "a_0003.nii.gz"}
        found = predictor.predict(images, case="a")
        assert found.volumes["tumor core"].low == pytest.approx(float(row["tumor_core_ml_low"]), rel=1e-4)

    def test_another_calibration_is_another_result(self, folder, calibrated_model, nnunet_folders, tmp_path, capsys):
        write_case(tmp_path / "in", "a", present=(0,))
        arguments = (str(tmp_path / "in"), str(tmp_path / "out"), False, False, 0, 0)
        model = predictor_of(calibrated_model, 0)
        model.predict_from_files(*arguments)
        model.predict_from_files(*arguments)
        assert "done again" not in capsys.readouterr().out
        assert main([*COMMAND, "--num_samples", "1", "--level", "0.4"]) == 0
        predictor_of(replace(calibrated_model, folder=folder), 0).predict_from_files(*arguments)
        assert "done again, such as a: calibration is" in capsys.readouterr().out

    def test_calibrated_probabilities_and_entropies(self, calibrated_model, nnunet_folders, tmp_path):
        write_case(tmp_path / "in", "a", present=(0,))
        plain, scaled = tmp_path / "plain", tmp_path / "scaled"
        for out, calibrated in ((plain, False), (scaled, True)):
            sampling = SamplingOptions(1, save_uncertainty=True, calibrated=calibrated)
            model = predictor_of(calibrated_model, 0, sampling)
            model.predict_from_files_sequential(str(tmp_path / "in"), str(out), save_probabilities=True)
        assert (plain / "a.nii.gz").read_bytes() == (scaled / "a.nii.gz").read_bytes()
        before, after = (np.load(out / "a.npz")["probabilities"].astype(float) for out in (plain, scaled))
        temperatures = Calibration.read(calibrated_model.folder / "calibration.json").temperatures
        for place, region in enumerate(temperatures):
            inside = (before[place] > 0.01) & (before[place] < 0.99)
            logits = [np.log(p[place][inside] / (1 - p[place][inside])) for p in (before, after)]
            np.testing.assert_allclose(logits[1], logits[0] / temperatures[region]["T1"], atol=1e-3)
            assert np.array_equal(before[place] > 0.5, after[place] > 0.5)
        found = predictor_of(calibrated_model, 0, sampling).predict({"T1": tmp_path / "in" / "a_0000.nii.gz"}, case="a")
        np.testing.assert_allclose(found.probabilities, after, atol=1e-5)
        names = [f"uncertainty/a_{what}_whole_tumor.nii.gz" for what in ("entropy", "mutual_information")]
        entropies, information = ([(out / name).read_bytes() for out in (plain, scaled)] for name in names)
        assert entropies[0] != entropies[1] and information[0] == information[1]
