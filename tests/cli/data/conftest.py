"""A model that cases are made ready for."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture
def model(tiny_model, tmp_path):
    """The tiny model's files without weights, of training images as large as the phantom."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(tiny_model.folder / "dataset.json", folder)
    plans = json.loads((tiny_model.folder / "plans.json").read_text())
    plans |= {"original_median_shape_after_transp": [26] * 3, "original_median_spacing_after_transp": [6.0] * 3}
    (folder / "plans.json").write_text(json.dumps(plans))
    return folder
