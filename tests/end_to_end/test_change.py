"""Two scans of a patient with different modalities, predicted and compared by the commands that a user calls."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from helpers.calibrated import calibrate
from helpers.tiny_model import write_case

from nnunet_hetero.cli.main import main
from nnunet_hetero.reliability.calibration_file import Calibration

QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar", "-npp", "0", "-nps", "0", "--num_samples", "1")
MODEL = ("-d", "501", "-c", "3d_fullres")


def predict(source, output, *more):
    return main(["predict", "-i", str(source), "-o", str(output), *MODEL, *QUICK, *more])


@pytest.fixture
def scans(calibrated_model, nnunet_folders, tmp_path, monkeypatch):
    """``first`` with T1, T1c and FLAIR, ``second`` with T2 and FLAIR; where they are predicted from."""
    monkeypatch.setenv("nnUNet_results", str(calibrated_model.results))
    write_case(tmp_path / "first", "ann", present=(0, 1, 3), seed=7)
    write_case(tmp_path / "second", "ann", present=(2, 3), seed=8)
    return tmp_path


def rows_of(folder):
    with (folder / "change.csv").open(newline="", encoding="utf-8") as stream:
        return {row["region"]: row for row in csv.DictReader(stream)}


def test_scans_with_different_modalities(scans, calibrated_model, capsys):
    for scan in ("first", "second"):
        assert predict(scans / scan, scans / f"out_{scan}", "-f", "0", "1") == 0
    places = ("--before", str(scans / "out_first"), "--after", str(scans / "out_second"))
    assert main(["change", *places, "-o", str(scans / "change")]) == 0
    assert "ann: whole tumor" in capsys.readouterr().out
    rows = rows_of(scans / "change")
    assert list(rows) == ["whole tumor", "tumor core", "enhancing tumor"]
    for region, row in rows.items():
        assert (row["modalities_before"], row["modalities_after"], row["level"]) == ("T1+T1c+FLAIR", "T2+FLAIR", "0.5")
        for scan, when in (("first", "before"), ("second", "after")):
            with (scans / f"out_{scan}" / "volumes.csv").open(newline="", encoding="utf-8") as stream:
                (volumes,) = csv.DictReader(stream)
            name = region.replace(" ", "_")
            assert row[f"volume_{when}"] == volumes[f"{name}_ml"]
            # Each scan at half the error: no narrower than in volumes.csv.
            assert float(row[f"volume_{when}_low"]) <= float(volumes[f"{name}_ml_low"]) * (1 + 1e-5)
            assert float(row[f"volume_{when}_high"]) >= float(volumes[f"{name}_ml_high"]) * (1 - 1e-5)
        if row["ratio_low"]:
            before, after = float(row["volume_before_high"]), float(row["volume_after_low"])
            assert float(row["ratio_low"]) == pytest.approx(after / before, rel=1e-4)
        assert row["note"] == "" or "no ratio" in row["note"]
    assert (scans / "change" / "change.png").stat().st_size > 10_000
    # 99 % needs 199 patients for each scan, and there are three.
    assert main(["change", *places, "-o", str(scans / "sure"), "--level", "0.99"]) == 0
    for row in rows_of(scans / "sure").values():
        assert row["decision"] == "undecided" and "no interval before" in row["note"] and row["ratio_low"] == ""


def test_what_could_be_a_difference_of_models_is_none_of_the_tumour(scans, calibrated_model, monkeypatch, capsys):
    """Other folds are said; another calibration, and a scan that was predicted without one, are refused."""
    assert predict(scans / "first", scans / "one", "-f", "0") == 0
    assert predict(scans / "second", scans / "two", "-f", "1") == 0
    change = ["change", "--before", str(scans / "one"), "-o", str(scans / "change"), "--after"]
    assert main([*change, str(scans / "two")]) == 0
    assert all("folds 0 predicted before, 1 after" in row["note"] for row in rows_of(scans / "change").values())
    shutil.copytree(calibrated_model.results, scans / "results")
    monkeypatch.setenv("nnUNet_results", str(scans / "results"))
    folder = scans / "results" / calibrated_model.folder.relative_to(calibrated_model.results)
    calibrate(folder, level=0.4)
    assert predict(scans / "second", scans / "three", "-f", "0") == 0
    assert Calibration.read(scans / "three" / "calibration.json").level == 0.4
    assert main([*change, str(scans / "three")]) == 1
    assert "different calibrations of one model" in capsys.readouterr().err
    assert predict(scans / "second", scans / "four", "-f", "0", "-step_size", "1") == 0
    assert main([*change, str(scans / "four")]) == 1
    assert "four has no calibration.json" in capsys.readouterr().err
    assert "statements" not in json.loads((scans / "four" / "run.json").read_text())["cases"]["ann"]
