"""Which images belong to a prediction, and what happened to them since."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers.looking.viewed import head, write, write_viewed

from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.viewer.case_folder import CaseFolder
from nnunet_hetero.viewer.sources import changes, images_of, made_from

USED = {"T1": 0, "T2": 2, "FLAIR": 3}


@pytest.fixture
def files(tmp_path):
    """A case whose folder says by a relative name what it was predicted from, as nnU-Net writes it."""
    found = write_viewed(tmp_path)
    sources = {name: found.images / f"a_{channel:04d}.nii.gz" for name, channel in USED.items()}
    known = Provenance.of(sources, {}).to_json()
    (found.output / "run.json").write_text(json.dumps({"runs": [], "cases": {"a": {"run": 0, "made_from": known}}}))
    arguments = {"list_of_lists_or_source_folder": "in"}
    (found.output / "predict_from_raw_data_args.json").write_text(json.dumps(arguments))
    return found


def shown(files) -> list[str]:
    return [entry.name for entry in CaseFolder(files.output).view("a").backgrounds if entry.kind == "image"]


def test_wherever_one_looks_from(files, tmp_path, monkeypatch):
    for place in (tmp_path, files.output):
        monkeypatch.chdir(place)
        view = CaseFolder(files.output).view("a")
        assert shown(files) == list(USED) and not view.warnings


def test_another_folder_of_the_same_name_is_not_taken(files, tmp_path, monkeypatch):
    other = write_viewed(tmp_path / "elsewhere")
    write(other.images / "a_0001.nii.gz", 7 * head())
    monkeypatch.chdir(tmp_path / "elsewhere")
    view = CaseFolder(files.output).view("a")
    assert shown(files) == list(USED)
    assert view.backgrounds[0].picture.data.max() == head().max()


def test_what_was_switched_off_lies_beside_it(files, tmp_path, monkeypatch):
    write(files.images / "a_0001.nii.gz", head())
    monkeypatch.chdir(tmp_path)
    view = CaseFolder(files.output).view("a")
    assert ("T1c", "difference") in [(entry.name, entry.kind) for entry in view.backgrounds]


def test_what_is_gone_or_another_is_said(files):
    (files.images / "a_0000.nii.gz").unlink()
    write(files.images / "a_0002.nii.gz", 3 * head())
    view = CaseFolder(files.output).view("a")
    assert shown(files) == ["T2", "FLAIR"]
    gone, anew = view.warnings
    assert "a_0000.nii.gz (T1) is gone since the prediction" in gone
    assert "a_0002.nii.gz (T2) has been written anew since the prediction" in anew


def test_a_named_folder_that_lacks_one(files, tmp_path):
    images = shutil.copytree(files.images, tmp_path / "copy")
    assert not CaseFolder(files.output, images).view("a").warnings
    (images / "a_0003.nii.gz").unlink()
    (warning,) = CaseFolder(files.output, images).view("a").warnings
    assert warning == f"FLAIR was used, but is not shown: {images} has no image of it."


def test_the_folder_that_a_prediction_names(files, tmp_path, monkeypatch):
    monkeypatch.chdir(files.output)
    assert images_of(files.output) is None
    monkeypatch.chdir(tmp_path)
    assert images_of(files.output).samefile(files.images)


def test_nothing_is_known_of_an_older_prediction(files):
    (files.output / "run.json").unlink()
    assert made_from(files.output, "a") is None


def test_no_change(files):
    known = made_from(files.output, "a")
    assert known is not None and list(known.sources) == list(USED) and changes(known, "prediction") == []
