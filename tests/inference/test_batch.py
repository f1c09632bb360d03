"""The books of a batch: what is done, what failed, and that a case's files appear together."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers.tiny_model import read_array, tiny_dataset_json, tiny_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.inference.batch import Batch, BatchItem
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions, Statement
from nnunet_hetero.inference.output.case_writer import CaseWriter

PROPERTIES = {
    "spacing": [1.0] * 3,
    "sitk_stuff": {"spacing": (1.0,) * 3, "origin": (0.0,) * 3, "direction": tuple(np.eye(3).ravel())},
    "shape_before_cropping": (4, 4, 4),
    "shape_after_cropping_and_before_resampling": (4, 4, 4),
    "bbox_used_for_cropping": [[0, 4]] * 3,
}
RECORD = {"used": ["T1", "T2"], "absent": {"T1c": "no file", "FLAIR": "no file"}}


def predict(data: torch.Tensor, properties: dict, name: str) -> CasePrediction:
    """Segments as many slices as the data says; 0 is a case that the network cannot take."""
    if not data.any():
        raise RuntimeError(f"nothing in {name}")
    logits = np.full((3, 4, 4, 4), -9.0, np.float32)
    logits[0, : int(data.max())] = 9.0
    volumes = np.array([[0.016, 0.0, 0.0]])
    said = Statement(volumes[0], *[np.zeros(3)] * 4)
    return CasePrediction((0, 2), 1, logits, volumes=volumes, statement=said, of_folds=(said,))


@pytest.fixture
def batch():
    plans = PlansManager(tiny_plans())
    preparation = Preparation(plans, plans.get_configuration("3d_fullres"), tiny_dataset_json())
    regions = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": (3,)}
    writer = CaseWriter(preparation, regions, SamplingOptions(1), ())
    with Batch(predict, torch.device("cpu"), writer, {"flags": {}}, 0) as batch:
        yield batch


def item(folder, name: str, slices: int = 1) -> BatchItem:
    data = torch.full((4, 4, 4, 4), float(slices))
    return BatchItem(name, data, PROPERTIES, str(folder / name), RECORD, {"preprocessing": 0.5})


def content_of(file) -> dict:
    return json.loads(file.read_text())


class TestCasesWithFiles:
    def test_each_has_its_files_and_its_place_in_the_books(self, batch, tmp_path):
        for name, slices in (("b", 2), ("a", 1)):
            batch.add(item(tmp_path, name, slices))
        assert batch.finish() == [None, None] and not batch.failed
        for name, slices in (("a", 1), ("b", 2)):
            assert (read_array(tmp_path / f"{name}.nii.gz") == 1).sum() == slices * 16
        assert content_of(tmp_path / "modalities.json")["a"] == RECORD
        cases = content_of(tmp_path / "run.json")["cases"]
        assert cases["a"]["modalities"] == ["T1", "T2"] and cases["a"]["seconds"]["preprocessing"] == 0.5
        assert set(cases["b"]["seconds"]) == {"preprocessing", "predicting", "exporting"}
        rows = (tmp_path / "volumes.csv").read_text().splitlines()[1:]
        assert [row.split(",")[:2] for row in rows] == [["a", "T1+T2"], ["b", "T1+T2"]]
        assert not list(tmp_path.glob(".*draft*"))

    def test_one_that_the_network_cannot_take_is_told_and_the_others_go_on(self, batch, tmp_path, capsys):
        for name, slices in (("a", 0), ("b", 1)):
            batch.add(item(tmp_path, name, slices))
        batch.finish()
        assert list(batch.failed) == ["a"] and "nothing in a" in batch.failed["a"]
        assert "Left out: a, predicting:" in capsys.readouterr().out
        assert content_of(tmp_path / "failed.json")["a"]["step"] == "predicting"
        assert (tmp_path / "b.nii.gz").exists() and not (tmp_path / "a.nii.gz").exists()
        assert list(content_of(tmp_path / "run.json")["cases"]) == ["b"]

    def test_one_that_cannot_be_written_leaves_nothing(self, batch, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("nnunet_hetero.inference.output.books.write_records", full)
        batch.add(item(tmp_path, "a"))
        batch.finish()
        assert "No space left" in batch.failed["a"]
        assert content_of(tmp_path / "failed.json")["a"]["step"] == "exporting"
        assert not list(tmp_path.glob("*.nii.gz")) and not list(tmp_path.glob(".*draft*"))

    def test_success_takes_a_case_off_the_list_of_failures(self, batch, tmp_path):
        batch.fail("a", str(tmp_path / "a"), Failure("reading", "no image"))
        assert content_of(tmp_path / "failed.json") == {"a": {"reason": "no image", "step": "reading"}}
        batch.add(item(tmp_path, "a"))
        batch.finish()
        assert not (tmp_path / "failed.json").exists()


class TestCasesWithoutFiles:
    def test_come_back_in_their_order(self, batch):
        for slices in (3, 1):
            batch.add(BatchItem("", torch.full((4, 4, 4, 4), float(slices)), PROPERTIES, None))
        assert [(found == 1).sum() for found in batch.finish()] == [3 * 16, 16]

    def test_their_errors_are_the_callers(self, batch):
        with pytest.raises(RuntimeError, match="nothing in"):
            batch.add(BatchItem("", torch.zeros(4, 4, 4, 4), PROPERTIES, None))
        with pytest.raises(RuntimeError, match="The export failed"):
            batch.add(BatchItem("", torch.ones(4, 4, 4, 4), {"spacing": [1.0] * 3}, None))
            batch.finish()


class TestItems:
    def test_of_nnunets_iterator_which_hands_large_arrays_over_as_files(self, tmp_path):
        np.save(tmp_path / "large.npy", np.arange(8.0))
        found = BatchItem.of({"data": str(tmp_path / "large.npy"), "data_properties": {}, "ofile": "out/case_1"})
        assert found.data.tolist() == list(range(8)) and not (tmp_path / "large.npy").exists()
        assert (found.name, found.folder, found.file_name) == ("case_1", "out", "case_1")

    def test_files_need_not_be_named_like_the_case(self):
        given = {"data": torch.zeros(1), "data_properties": {}, "ofile": "mine", "name": "case_1", "seconds": 2.0}
        found = BatchItem.of(given)
        assert (found.name, found.folder, found.file_name) == ("case_1", ".", "mine")
        assert found.seconds == {"preprocessing": 2.0}
