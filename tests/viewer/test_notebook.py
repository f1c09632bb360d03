"""The page of a prediction from Python."""

from __future__ import annotations

import dataclasses
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from helpers.tiny_model import SHAPE

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.from_python import Area, Volume
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.reliability.input_verdict import InputVerdict
from nnunet_hetero.reliability.quality import PredictedDice
from nnunet_hetero.viewer.notebook import page_of, view_of


@pytest.fixture(scope="module")
def prediction(tiny_model):
    predictor = HeteroModalPredictor.from_model_folder(tiny_model.folder, 0, "cpu", use_mirroring=False)
    noise = np.random.default_rng(0).normal(5, 1, SHAPE).astype(np.float32)
    return predictor.predict({"T1": noise, "FLAIR": noise + 1}, (1.0, 1.5, 2.0), "one")


def test_all_that_python_has(prediction):
    view = view_of(prediction)
    assert [(entry.name, entry.kind) for entry in view.backgrounds] == [
        ("T1", "image"),
        ("FLAIR", "image"),
        ("T1c", "completed"),
        ("T2", "completed"),
    ]
    assert {overlay.kind for overlay in view.overlays} == {"entropy", "mutual information", "probability"}
    assert (view.prediction.data == prediction.segmentation.transpose(2, 1, 0)).all()
    # Spacing is in the order of the arrays' axes, z first.
    assert np.linalg.norm(view.prediction.affine[:3, :3], axis=0).tolist() == [2.0, 1.5, 1.0]
    assert view.case == "one" and len(view.facts["Volumes"]) == 3 and not view.warnings
    assert view.facts["Modalities"] == [
        ("T1", "used"),
        ("FLAIR", "used"),
        ("T1c", "absent: no file"),
        ("T2", "absent: no file"),
    ]


def test_what_a_calibration_says(prediction):
    calibrated = dataclasses.replace(
        prediction,
        volumes={"whole tumor": Volume(10.0, 8.0, 13.0)},
        quality={"whole tumor": PredictedDice(0.9, 0.8, 30)},
        inputs=(InputVerdict("T1", "ok"), InputVerdict("FLAIR", "suspicious", "looks like T2")),
    )
    view = view_of(calibrated)
    assert view.facts["Volumes"] == [("whole tumor", "10 ml (interval 8 to 13)")]
    assert view.facts["Predicted Dice, 0 to 1"] == [("whole tumor", "0.9 (at least 0.8)")]
    assert view.warnings == ["FLAIR looks like T2: the input may be wrong."]


def test_areas_of_a_2d_image(prediction):
    flat = dataclasses.replace(prediction, volumes={"whole tumor": Volume(None)}, areas={"whole tumor": Area(5.0)})
    facts = view_of(flat).facts
    assert "Volumes" not in facts and facts["Areas"] == [("whole tumor", "5 mm²")]


def test_in_a_notebook(prediction, monkeypatch):
    display = ModuleType("IPython.display")
    display.HTML = lambda text: SimpleNamespace(data=text)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    shown = prediction.view(height=500).data
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;') and "height: 500px" in shown
    assert "NVImage" in page_of(prediction)


def test_without_a_notebook(prediction, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(SettingsError, match="notebooks"):
        prediction.view()
