"""Cases of nnU-Net's validation are whole or not there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

from nnunet_hetero.nnunet import exports
from nnunet_hetero.nnunet.exports import export_whole, whole_exports


def export(folder) -> None:
    export_whole(None, {}, None, None, {"file_ending": ".txt"}, str(folder / "case"), False)


def writing(*endings: str, fails: bool = False):
    def write(prediction, properties, configuration, plans, dataset_json, target, probabilities):
        for ending in endings:
            with open(target + ending, "w") as file:
                file.write("content")
        if fails:
            raise RuntimeError("killed")

    return write


def test_all_files_appear(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "export_prediction_from_logits", writing(".json", ".txt"))
    export(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["case.json", "case.txt"]


def test_half_of_them_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "export_prediction_from_logits", writing(".json", fails=True))
    with pytest.raises(RuntimeError, match="killed"):
        export(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nnunet_is_left_as_it_was():
    before = nnunet.export_prediction_from_logits
    with pytest.raises(RuntimeError), whole_exports():
        assert nnunet.export_prediction_from_logits is export_whole
        raise RuntimeError(str(SimpleNamespace()))
    assert nnunet.export_prediction_from_logits is before
