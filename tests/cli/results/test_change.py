"""``nnunet_hetero change`` from the command line."""

from __future__ import annotations

import csv
import shutil
from argparse import ArgumentParser
from dataclasses import replace

import pytest
from helpers.results.two_scans import calibration_of, write_scans
from matplotlib import rc_context

from nnunet_hetero.cli.main import main
from nnunet_hetero.cli.results.change import add_arguments
from nnunet_hetero.evaluation.change.decision import Thresholds


@pytest.fixture
def folders(tmp_path):
    write_scans(tmp_path / "one", {"ann_1": {"modalities": ["T1"], "sizes": [20.0, 5.0]}})
    write_scans(tmp_path / "two", {"ann_2": {"modalities": ["T1", "T2"], "sizes": [70.0, 5.0]}})
    return tmp_path


def change(folders, *more):
    places = ["--before", str(folders / "one"), "--after", str(folders / "two"), "-o", str(folders / "out")]
    return main(["change", *places, *more])


def test_pairs_from_a_table(folders, capsys):
    (folders / "pairs.csv").write_text("before,after\nann_1,ann_2\n")
    with rc_context({"font.size": 40}):  # as nnU-Net's figure of a training leaves it; axes would have no room
        assert change(folders, "--pairs", str(folders / "pairs.csv")) == 0
    assert "ann_1 → ann_2: whole tumor PD" in capsys.readouterr().out
    assert {file.name for file in (folders / "out").iterdir()} == {"change.csv", "change.png"}
    assert change(folders, "--pairs", str(folders / "pairs.csv"), "--progression", "9") == 0
    assert "whole tumor stable" in capsys.readouterr().out


def test_a_scan_without_a_partner_is_named_and_the_exit_code_is_1(folders, capsys):
    """The others are compared; a table says that it is meant."""
    both = {"modalities": ["T1"], "sizes": [20.0, 5.0]}
    write_scans(folders / "one", {"ann": both, "bob": both})
    write_scans(folders / "two", {"ann": both})
    assert change(folders) == 1
    said = capsys.readouterr()
    assert "1 scan(s) are in one of the folders only, and were not compared: bob. " in said.err
    assert "ann: whole tumor" in said.out and (folders / "out" / "change.csv").is_file()
    (folders / "pairs.csv").write_text("before,after\nann,ann\n")
    assert change(folders, "--pairs", str(folders / "pairs.csv")) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "--pairs"),
        (["--level", "1.5"], "--level"),
        (["--level", "0.9999999999"], "--level is 0.9999999999; it must be at most"),
        (["--progression", "0"], "--progression"),
        (["--progression", "40"], "--progression"),
        (["--response", "65"], "--response"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(folders, more, words, capsys):
    assert change(folders, *more) == 1
    assert words in capsys.readouterr().err
    assert not (folders / "out").exists()


def test_a_folder_is_not_compared_with_itself(folders, capsys):
    (folders / "pairs.csv").write_text("before,after\nann_1,ann_1\n")
    for more in ([], ["--pairs", str(folders / "pairs.csv")]):
        assert change(folders, "--after", str(folders / "one"), *more) == 1
        assert "'ann_1' would be compared with itself" in capsys.readouterr().err
    assert not (folders / "out").exists()


def test_another_model_is_refused(folders, capsys):
    write_scans(folders / "two", {"ann_1": {"modalities": ["T1"], "sizes": [20.0, 5.0]}}, calibration_of(weights="w1"))
    assert change(folders) == 1
    assert "different models" in capsys.readouterr().err


def test_the_defaults_are_those_of_rano():
    parser = ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--before", "a", "--after", "b", "-o", "c"])
    assert Thresholds(args.progression, args.response) == Thresholds()


def test_areas_of_2d_images_are_called_so_and_judged_as_such(folders, capsys):
    """A quarter more is progression of a product of two diameters; of a volume it would have to be 40 %."""
    exact = calibration_of()
    sure = replace(exact, scores={region: {"T1": {"0": [0.0] * 30}} for region in exact.scores})
    for name in ("one", "two"):
        shutil.rmtree(folders / name)
    for when, size in (("one", 2000.0), ("two", 2600.0)):
        write_scans(folders / when, {"ann": {"modalities": ["T1"], "sizes": [size, 0.0]}}, sure, unit="mm2")
    assert change(folders) == 0
    assert "ann: whole tumor PD, 1.30 to 1.30 times the area" in capsys.readouterr().out
    rows = list(csv.DictReader((folders / "out" / "change.csv").open()))
    assert [row["unit"] for row in rows] == ["mm2", "mm2"] and rows[0]["volume_before"] == "2000"
