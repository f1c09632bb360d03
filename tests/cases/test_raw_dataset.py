"""dataset.json of nnU-Net's raw data sets."""

from __future__ import annotations

import json
import os
from copy import deepcopy

import pytest
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunet_hetero.cases.raw_dataset import read_dataset_json, training_files
from nnunet_hetero.errors import DataError

CONTENT = {"channel_names": {"0": "T1"}, "labels": {"background": 0}, "numTraining": 1, "file_ending": ".nii.gz"}


def test_its_content(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps(CONTENT))
    assert read_dataset_json(tmp_path) == CONTENT


@pytest.mark.parametrize(
    "text", ["{", "[]", json.dumps({**CONTENT, "file_ending": ""}), json.dumps({**CONTENT, "channel_names": ["T1"]})]
)
def test_damaged_or_without_what_it_must_have(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json"):
        read_dataset_json(tmp_path)


def test_not_there(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json"):
        read_dataset_json(tmp_path)


def test_training_files_are_those_of_nnunet(tmp_path, monkeypatch):
    """Without its processes, copies of this one."""
    names = ["a_0001.nii.gz", "a_0000.nii.gz", "a1_0000.nii.gz", "a_b_0000.nii.gz", "c_00000.nii.gz", "d_0000.nii"]
    names += ["e(.)_0000.nii.gz", "notes.txt"]
    for folder in ("imagesTr", "imagesTr/f_0000.nii.gz"):
        (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / "imagesTr" / name).touch()
    monkeypatch.setenv("ELSEWHERE", "/data")
    files = {"x": {"images": ["./imagesTr/a_0000.nii.gz", "$ELSEWHERE/a.nii.gz"], "label": "labelsTr/../a.nii.gz"}}
    contents = [CONTENT, {**CONTENT, "dataset": files}]
    expected = [get_filenames_of_train_images_and_targets(str(tmp_path), deepcopy(content)) for content in contents]
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a new process"))
    found = [training_files(tmp_path, content) for content in deepcopy(contents)]
    assert [list(cases) for cases in found] == [list(map(str, cases)) for cases in expected]
    assert found == expected
    assert contents[1]["dataset"] is files and "$ELSEWHERE/a.nii.gz" in files["x"]["images"]
    with pytest.raises(OSError):
        training_files(tmp_path / "nowhere", CONTENT)
