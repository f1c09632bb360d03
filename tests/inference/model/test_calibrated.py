"""Whether the calibration in a model's folder holds for what predicts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from helpers.calibrated import predictor_of
from helpers.tiny_model import trained_otherwise, write_case

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.reliability.calibration_file import Calibration, digest


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def copied(calibrated_model, tmp_path):
    folder = tmp_path / "model" / calibrated_model.folder.name
    shutil.copytree(calibrated_model.folder, folder)
    return replace(calibrated_model, folder=folder)


@pytest.mark.parametrize(("folds", "expected"), [(None, ("0", "1")), (0, ("0",)), (1, ("1",)), ((1, 0), ("1", "0"))])
def test_any_of_the_folds(calibrated_model, folds, expected):
    model = predictor_of(calibrated_model, folds).model
    assert model.calibration.folds == expected and model.uncalibrated == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"sampling": SamplingOptions(2)}, "--num_samples was 1 then, now 2. Predict as then, or calibrate"),
        ({"use_mirroring": True}, "--disable_tta.: none then, now 0, 1, 2"),
        ({"tile_step_size": 1.0}, "-step_size was 0.5 then, now 1"),
        ({"use_gaussian": False}, "tiles had Gaussian weights then"),
    ],
)
def test_another_way_to_predict(calibrated_model, arguments, reason):
    model = predictor_of(calibrated_model, **arguments).model
    assert model.calibration is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(model.uncalibrated)


def test_another_seed_is_the_same_way(calibrated_model):
    assert predictor_of(calibrated_model, sampling=SamplingOptions(1, seed=9)).model.calibration is not None


def test_other_weights(copied):
    shutil.copy(copied.folder / "fold_1" / "checkpoint_final.pth", copied.folder / "fold_0" / "checkpoint_final.pth")
    model = predictor_of(copied).model
    assert model.calibration is None and "does not know the weights of a fold" in model.uncalibrated


def test_other_plans(copied):
    trained_otherwise(copied.folder, lambda plans, configuration: configuration.update(batch_size=3))
    assert "its plans are others" in predictor_of(copied).model.uncalibrated


def test_a_region_that_was_renamed(copied, tmp_path):
    file = copied.folder / "dataset.json"
    file.write_text(file.read_text().replace('"tumor core"', '"core"'))
    write_case(tmp_path / "in", "a")
    predictor = predictor_of(copied)
    predictor.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "a.nii.gz").is_file() and predictor.failed == {}
    assert (
        "its regions are whole tumor, tumor core, enhancing tumor, those of the model" in predictor.model.uncalibrated
    )


def test_other_modalities(copied):
    of_file = Calibration.read(copied.folder / "calibration.json")
    replace(of_file, modalities=["T1", "T1c", "FLAIR", "T2"]).write(copied.folder)
    assert "its modalities are T1, T1c, FLAIR, T2, those of the model" in predictor_of(copied).model.uncalibrated


def test_a_file_that_was_saved_with_sorted_keys_is_the_same(copied):
    before = predictor_of(copied, 0).model.calibration
    file = copied.folder / "calibration.json"
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    after = predictor_of(copied, 0).model.calibration
    assert after == before and after.calibration.regions == before.calibration.regions


def test_a_model_for_pictures_is_not_said_to_lack_a_calibration(copied):
    (copied.folder / "calibration.json").unlink()
    trained_otherwise(copied.folder, lambda plans, _: plans.update(image_reader_writer="NaturalImage2DIO"))
    said = predictor_of(copied).model.uncalibrated
    assert "how large a pixel is" in said and "nnunet_hetero calibrate" not in said


def edited(content: str) -> str:
    return json.dumps({**json.loads(content), "level": 0.4})


def forged(content: str) -> str:
    """A region's regressions lack a number, and the digest is that of the file as it is."""
    changed = json.loads(content)
    for regression in changed["quality"]["tumor core"]["regressions"].values():
        regression["mean"].pop()
    return json.dumps({**changed, "sha256": digest(changed)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edited, "it was edited"),
        (forged, "quality.tumor core.regressions"),
        (lambda text: text[:-30], "not valid JSON"),
        (lambda text: "", "is empty"),
        (None, "is not there"),
    ],
)
def test_whatever_is_wrong_with_the_file_cases_are_predicted(copied, tmp_path, capsys, change, reason):
    file = copied.folder / "calibration.json"
    if change is None:
        file.unlink()
    else:
        file.write_text(change(file.read_text()))
    write_case(tmp_path / "in", "a")
    predictor = predictor_of(copied, 0)
    predictor.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "a.nii.gz").is_file() and predictor.failed == {}
    said = capsys.readouterr().out
    assert (
        said.count("There are no intervals of volumes.") == 1 and reason in said and "nnunet_hetero calibrate" in said
    )
    header = (tmp_path / "out" / "volumes.csv").read_text().splitlines()[0]
    assert "_low" not in header and "interval" not in header and "p2.5" not in header
    assert not (tmp_path / "out" / "calibration.json").exists()
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    with pytest.raises(SettingsError, match="--calibrated"):  # which leaves what an earlier prediction wrote
        predictor_of(copied, 0, SamplingOptions(1, calibrated=True)).predict_from_files_sequential(
            str(tmp_path / "in"), str(tmp_path / "out"), save_probabilities=True
        )
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == before
