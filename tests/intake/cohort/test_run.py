"""Many cases: failing ones are named and stop nobody, finished ones are kept."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import FILES, phantom_images, target

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.cohort import run as module
from nnunet_hetero.intake.cohort import write_case as write_module
from nnunet_hetero.intake.cohort.run import proposed_series, require_places, take_in
from nnunet_hetero.intake.options import IntakeOptions

OPTIONS = IntakeOptions(register=False)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """They are tested where they are drawn."""
    monkeypatch.setattr(write_module, "mosaic", lambda *_: np.zeros((2, 2, 3), np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Two cases on one grid each, and one that cannot be read."""
    for case in ("a", "b", "c"):
        (tmp_path / "in" / case).mkdir(parents=True)
        for name in ("T1", "FLAIR"):
            sitk.WriteImage(phantom_images()[name], str(tmp_path / "in" / case / f"{FILES[name]}.nii.gz"))
    (tmp_path / "in" / "b" / "t1.nii.gz").write_bytes(b"damaged")
    return tmp_path / "in"


@pytest.fixture
def done(cases_of):
    """The cases that are really done, in their order."""
    return cases_of(module, "write_case")


def _take(folder, out, table=None, options=OPTIONS, **changes):
    series = proposed_series(folder, out, target(**changes), table)
    return take_in(series, folder, out, target(**changes), options)


def test_a_case_that_fails(folder, tmp_path, capsys):
    out = tmp_path / "out"
    result = _take(folder, out)
    assert result.done == ["a", "c"] and list(result.failed) == ["b"]
    assert "b/t1.nii.gz" in result.failed["b"]
    failed = json.loads((out / "failed.json").read_text())
    assert failed == {"b": {"reason": result.failed["b"], "step": "intake"}}
    names = sorted(file.name for file in (out / "images").iterdir())
    assert names == ["a_0000.nii.gz", "a_0003.nii.gz", "c_0000.nii.gz", "c_0003.nii.gz"]
    assert "[2/3] Left out: Case 'b'" in capsys.readouterr().out


def test_cases_whose_files_would_be_the_same_elsewhere(folder, tmp_path, done):
    (folder / "b").rename(folder / "A")
    result = _take(folder, tmp_path / "out")
    assert done == ["c"] and sorted(result.failed) == ["A", "a"]
    assert "Case 'A': its name differs from that of 'a' in upper and lower case alone" in result.failed["A"]
    assert "of 'A' in upper" in result.failed["a"] and "Rename its folder" in result.failed["a"]


def test_going_on(folder, tmp_path, done):
    out = tmp_path / "out"
    _take(folder, out)
    sitk.WriteImage(phantom_images()["T1"], str(folder / "b" / "t1.nii.gz"))
    (out / "images" / "c_0003.nii.gz").unlink()
    done.clear()
    result = _take(folder, out)
    assert done == ["b", "c"] and result.kept == ["a"] and not result.failed
    assert not (out / "failed.json").exists()
    done.clear()
    _take(folder, out, options=IntakeOptions(reference=("FLAIR",)))
    assert done == ["a", "b", "c"]


def test_doubtful_cases_are_told_of_as_long_as_they_are_there(folder, tmp_path):
    out = tmp_path / "out"
    assert _take(folder, out).doubtful == []
    file = out / "cases" / "c.json"
    record = json.loads(file.read_text())
    record["images"]["FLAIR"]["doubt"] = "two fits"
    file.write_text(json.dumps(record))
    result = _take(folder, out)
    assert result.kept == ["a", "c"] and result.doubtful == ["c"]
    assert ",two fits," in (out / "intake.csv").read_text()


def test_an_error_of_one_step_leaves_no_result_of_before(folder, tmp_path):
    out = tmp_path / "out"
    _take(folder, out)
    (folder / "a" / "t1.nii.gz").write_bytes(b"damaged")
    assert "a" in _take(folder, out).failed
    assert not list((out / "images").glob("a_*")) and not (out / "cases" / "a.json").exists()


def test_a_corrected_table(folder, tmp_path, done):
    out = tmp_path / "out"
    proposed_series(folder, out, target(), None)
    table = out / "series.csv"
    lines = [line for line in table.read_text().splitlines()]
    corrected = [line.replace("b/t1.nii.gz,T1,", "b/t1.nii.gz,,") for line in lines]
    table.write_text("\n".join(line.replace("c/flair.nii.gz,FLAIR,", "c/flair.nii.gz,T2,") for line in corrected))
    with pytest.raises(SettingsError, match="give it with --series"):
        _take(folder, out)
    before = table.read_text()
    result = _take(folder, out, table)
    assert result.done == ["a", "b", "c"] and table.read_text() == before
    assert (out / "images" / "c_0002.nii.gz").is_file() and not (out / "images" / "b_0000.nii.gz").exists()


def test_a_case_that_the_table_leaves_out(folder, tmp_path):
    out = tmp_path / "out"
    table = tmp_path / "table.csv"
    proposed_series(folder, out, target(), None)
    text = (out / "series.csv").read_text()
    table.write_text(
        text.replace("b/t1.nii.gz,T1,", "b/t1.nii.gz,,").replace("b/flair.nii.gz,FLAIR,", "b/flair.nii.gz,,")
    )
    result = _take(folder, out, table)
    assert result.done == ["a", "c"] and result.left_out == ["b"] and not result.failed


def test_what_could_be_a_modality_is_not_passed_over(folder, tmp_path):
    sitk.WriteImage(phantom_images()["T2"], str(folder / "a" / "t2 or flair.nii.gz"))
    result = _take(folder, tmp_path / "out")
    assert "a" in result.failed and "--series" in result.failed["a"]


def test_cases_of_before(folder, tmp_path, capsys):
    out = tmp_path / "out"
    _take(folder, out)
    shutil.rmtree(folder / "a")
    (out / "series.csv").unlink()
    _take(folder, out)
    assert "also holds 1 case(s) that are not in the input folder, e.g. a" in capsys.readouterr().out


def test_places(folder, tmp_path):
    with pytest.raises(SettingsError, match="lies in the input folder"):
        require_places(folder, folder / "out")
    out = tmp_path / "out"
    _take(folder, out)
    with pytest.raises(DataError, match="holds an intake with another orientation"):
        _take(folder, out, orientation="SLA")


def test_a_name_that_no_file_can_have(folder, tmp_path):
    """It stops nobody."""
    (folder / "a").rename(folder / ("x" * 250))
    (folder / "c").rename(folder / "c\nd")
    result = _take(folder, tmp_path / "out")
    assert set(result.failed) == {"x" * 250, "c\nd", "b"} and "250 bytes" in result.failed["x" * 250]
    assert "Rename its folder" in result.failed["c\nd"] and "\n" not in result.failed["c\nd"]
    assert set(json.loads((tmp_path / "out/failed.json").read_text("utf-8"))) == set(result.failed)
