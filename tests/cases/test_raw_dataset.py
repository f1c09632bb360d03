"""dataset.json of nnU-Net's raw data sets."""

from __future__ import annotations

import json

import pytest

from nnunet_hetero.cases.raw_dataset import read_dataset_json
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
