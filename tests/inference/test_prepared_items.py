"""Cases as a prediction loop takes them."""

from __future__ import annotations

import torch
from helpers.tiny_model import write_case

from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.inference.batch import BatchItem
from nnunet_hetero.inference.earlier_run import MadeFrom
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.inference.prepared_items import prepared_items


def test_a_case_and_one_that_cannot_be_read(tiny_model, tmp_path, capsys):
    model = HeteroModalPredictor.from_model_folder(tiny_model.folder, 0, "cpu").model
    write_case(tmp_path, "a", present=(0, 2))
    write_case(tmp_path, "b", present=(0,))[0].write_bytes(b"no image")
    cases = find_cases(tmp_path, model.modalities, ".nii.gz", model.kept)
    good, bad = prepared_items(model, MadeFrom(model), cases, ["out/a", "out/b"], 0)
    assert (bad["name"], bad["ofile"], bad["failure"].step) == ("b", "out/b", "reading")
    item = BatchItem.of(good)
    assert isinstance(item.data, torch.Tensor) and (item.name, item.output) == ("a", "out/a")
    assert item.record["used"] == ["T1", "T2"] and set(item.made_from.sources) == {"T1", "T2"}
    assert "a: T1+T2 (absent: T1c, FLAIR)" in capsys.readouterr().out
