"""Prediction and evaluation with a network for one subset of the modalities."""

from __future__ import annotations

import json

import pytest
from helpers.tiny_model import read_array, write_case, write_tiny_model

from nnunet_hetero.cli.main import main

MODEL = ["-d", "501", "-c", "3d_fullres", "-f", "0", "-tr", "SubsetTrainer", "-device", "cpu", "--disable_tta"]


@pytest.fixture(scope="module")
def for_t1_and_flair(tmp_path_factory):
    """A model for T1+FLAIR, and cases 00 to 04."""
    cases = [f"case_{number:02d}" for number in range(5)]
    root = tmp_path_factory.mktemp("subset")
    return write_tiny_model(root, trainer="SubsetTrainer", cases=cases, settings={"subset": [0, 3]})


@pytest.fixture(autouse=True)
def _environment(for_t1_and_flair, monkeypatch):
    for name, value in for_t1_and_flair.environment().items():
        monkeypatch.setenv(name, value)


def predict(folder, *flags) -> int:
    command = ["predict", "-i", str(folder / "images"), "-o", str(folder / "out"), *MODEL, "-npp", "0", "-nps", "0"]
    try:
        return main([*command, *flags])
    except SystemExit as end:
        return int(end.code or 0)


def test_other_modalities_are_not_looked_at(tmp_path):
    write_case(tmp_path / "images", "a", seed=1)
    assert predict(tmp_path) == 0
    assert json.loads((tmp_path / "out" / "modalities.json").read_text())["a"]["used"] == ["T1", "FLAIR"]
    whole = read_array(tmp_path / "out" / "a.nii.gz")
    for channel in (1, 2):
        (tmp_path / "images" / f"a_000{channel}.nii.gz").unlink()
    assert predict(tmp_path) == 0
    assert (read_array(tmp_path / "out" / "a.nii.gz") == whole).all()


def test_a_case_that_lacks_one_of_them_fails_and_others_do_not(tmp_path, capsys):
    write_case(tmp_path / "images", "a")
    write_case(tmp_path / "images", "b", present=(0, 1, 2))
    assert predict(tmp_path) == 1
    assert [file.name for file in (tmp_path / "out").glob("*.nii.gz")] == ["a.nii.gz"]
    assert "Case 'b' has no FLAIR, but the model is for T1+FLAIR alone" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--missing", "flair"), ("--available", "t1", "t2")])
def test_flags_that_leave_too_little(tmp_path, capsys, flags):
    write_case(tmp_path / "images", "a")
    assert predict(tmp_path, *flags) == 1
    assert "The model needs T1+FLAIR, but --missing or --available leave" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_evaluation_on_its_own_subset_only(tmp_path, capsys):
    assert main(["evaluate", *MODEL, "-o", str(tmp_path), "--subsets", "T1"]) == 1
    assert "T1+FLAIR alone" in capsys.readouterr().err
    assert main(["evaluate", *MODEL, "-o", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [entry["subset"] for entry in summary["subsets"]] == ["T1+FLAIR"]
