"""Which folds of a model segment which cases."""

from __future__ import annotations

import json
import shutil

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.sweep.groups import cases_of, entries_of, load_folds, predictor_of, sources_of
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest


@pytest.fixture
def found(nnunet_folders):
    request = EvaluationRequest(nnunet_folders.folder, device="cpu", mirroring=False)
    predictor = predictor_of(request)
    load_folds(predictor, request, [0])
    return request, predictor


def test_each_fold_has_its_own(found):
    request, predictor = found
    cases = cases_of(request, predictor, [[0], [1]])
    assert [(group.folds, [entry.case.name for entry in group.cases]) for group in cases] == [
        ([0], ["case_00", "case_05"]),
        ([1], ["case_01"]),
    ]
    assert [entry.case.name for entry in entries_of(cases)] == ["case_00", "case_05", "case_01"]
    sources = sources_of(request, cases, predictor.modalities)
    assert set(sources["case_01"].sources) == {
        *("T1", "T1c", "T2", "FLAIR", "label map", "plans.json", "dataset.json", "checkpoint of fold 1")
    }


def test_a_case_of_two_folds_is_refused(found, tiny_model, tmp_path, monkeypatch):
    request, predictor = found
    shutil.copytree(tiny_model.preprocessed, tmp_path / "preprocessed")
    file = tmp_path / "preprocessed" / tiny_model.dataset / "splits_final.json"
    splits = json.loads(file.read_text())
    splits[1]["val"].append("case_05")
    file.write_text(json.dumps(splits))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    with pytest.raises(SettingsError, match="'case_05' is a validation case of the folds 0 and 1"):
        cases_of(request, predictor, [[0], [1]])
