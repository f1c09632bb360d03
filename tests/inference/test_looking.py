"""Looking whether cases could be predicted writes nothing, and refuses what prediction refuses."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.looking import LookingPredictor


def test_looking(tiny_model, tmp_path, capsys):
    predictor = LookingPredictor.from_model_folder(tiny_model.folder, (0,), "cpu")
    images, out = str(tiny_model.images), tmp_path / "out"
    predictor.predict_from_files(images, str(out), num_parts=20, part_id=0)
    assert not out.exists() and "6 case(s)" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="no cascades"):
        predictor.predict_from_files(images, str(out), folder_with_segs_from_prev_stage="elsewhere")
    with pytest.raises(SettingsError):
        predictor.predict_from_files(images, images)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        predictor.predict_from_files(str(tmp_path / "empty"), str(out))
