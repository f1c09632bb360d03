"""What a model's folder, or a data set, says of the images it wants."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from helpers.tiny_model import SHAPE

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.intake.target import Target


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy of the tiny model without its weights."""
    for name in ("plans.json", "dataset.json"):
        shutil.copy(tiny_model.folder / name, tmp_path)
    return tmp_path


def _change(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_of_a_model(tiny_model):
    found = Target.of_model(tiny_model.folder)
    assert found.modalities.names == ("T1", "T1c", "T2", "FLAIR") and found.file_ending == ".nii.gz"
    assert found.zero_background is True and found.litres == pytest.approx(np.prod(SHAPE) / 1e6)
    assert found.orientation == "LPS"
    assert found.regions == {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}


def test_of_a_data_set(nnunet_folders):
    found = Target.of_dataset("501")
    assert found.modalities.names == ("T1", "T1c", "T2", "FLAIR")
    assert found.orientation == "LPS"  # nibabel counts as ITK does: the identity of ITK's directions
    assert found.zero_background is True


def test_without_plans(nnunet_folders, tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path))
    found = Target.of_dataset("501")
    assert found.zero_background is None and found.litres is None


def test_no_model(tmp_path):
    with pytest.raises(SettingsError, match=r"has no dataset.json, so it is no folder of a trained model"):
        Target.of_model(tmp_path)


def test_orientation_is_not_known(model):
    """Without a checkpoint, or with one of before."""
    assert Target.of_model(model).orientation is None


def test_with_skulls(model):
    plans = json.loads((model / "plans.json").read_text())
    (configuration,) = plans["configurations"].values()
    configuration["use_mask_for_norm"] = [False] * 4
    _change(model / "plans.json", configurations=plans["configurations"])
    assert Target.of_model(model).zero_background is False


def test_pictures(model):
    _change(model / "dataset.json", file_ending=".png")
    with pytest.raises(SettingsError, match=r"end in '.png'"):
        Target.of_model(model)
