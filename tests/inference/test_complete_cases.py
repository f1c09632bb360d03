"""Completion of many cases: what it writes, what it keeps, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers.tiny_model import write_case, write_image

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.complete_cases import complete_cases
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

MISSING = SamplingOptions(num_samples=0, save_completed="missing")


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def predictor(tiny_model):
    predictor = HeteroModalPredictor(
        options=PredictionOptions(sampling=MISSING),
        use_mirroring=False,
        allow_tqdm=False,
        device=torch.device("cpu"),
    )
    predictor.initialize_from_trained_model_folder(str(tiny_model.folder), (0,))
    return predictor


def complete(predictor, images, output, overwrite=True):
    return complete_cases(predictor.model, images, output, overwrite, run=predictor.describe_run())


def files_of(folder) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_an_image_that_arrives_replaces_its_completion(predictor, images, tmp_path, capsys):
    complete(predictor, images, tmp_path)
    assert "completed/a_0001.nii.gz" in files_of(tmp_path)
    write_case(images, "a", present=(1,))
    for overwrite in (False, True):
        complete(predictor, images, tmp_path, overwrite)
        assert "completed/a_0001.nii.gz" not in files_of(tmp_path)
    capsys.readouterr()
    complete(predictor, images, tmp_path, overwrite=False)
    assert "2 of them are completed already" in capsys.readouterr().out


def test_failed_second_run_leaves_nothing(predictor, images, tmp_path):
    complete(predictor, images, tmp_path / "out")
    (images / "a_0000.nii.gz").write_bytes(b"no image")
    assert list(complete(predictor, images, tmp_path / "out")) == ["a"]
    assert not [name for name in files_of(tmp_path / "out") if name.startswith("completed/a_0")]


def test_a_case_that_fails_is_named_and_the_others_go_on(predictor, images, tmp_path, capsys):
    write_image(images / "a_0000.nii.gz", np.full((20, 18, 22), np.nan, np.float32))
    failed = complete(predictor, images, tmp_path / "out")
    assert list(failed) == ["a"] and "NaN" in failed["a"]
    assert "Left out: a, reading:" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "failed.json").read_text())["a"]["step"] == "reading"
    assert "completed/a_b_0000.nii.gz" in files_of(tmp_path / "out")


def test_no_case_at_all_is_an_error(predictor, images, tmp_path):
    for file in images.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"None of the 2 case\(s\) could be completed"):
        complete(predictor, images, tmp_path / "out")


def test_not_beside_segmentations(predictor, images, tmp_path):
    predictor.predict_from_files(str(images), str(tmp_path / "out"), False, True, 0, 0)
    with pytest.raises(SettingsError, match="holds segmentations of these cases"):
        complete(predictor, images, tmp_path / "out")
