import json
from dataclasses import replace

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.reliability.calibration_file import FILE_NAME, CalibratedModel, Calibration, digest

MODEL = CalibratedModel("HeteroModalVAETrainer", "abc", {"0": "w0", "1": "w1"}, 10, [0, 1, 2], 0.5)
CALIBRATION = Calibration(
    version="1.0",
    model=MODEL,
    together=False,
    level=0.9,
    joint=False,
    by_disagreement=True,
    modalities=["T1", "T2"],
    patients=4,
    scores={"whole tumor": {"T1": {"0": [0.5, 1.25], "1": [0.1, 2.0]}}},
    temperatures={"whole tumor": {"all": 1.5}},
)


def test_there_and_back(tmp_path):
    file = CALIBRATION.write(tmp_path)
    found = Calibration.read(file)
    assert replace(found, sha256="") == CALIBRATION
    assert len(found.sha256) == 64
    assert found.regions == ["whole tumor"]


def test_sections_of_others_are_kept(tmp_path):
    regression = {"fold": "0", "mean": [0.0], "scale": [1.0], "coefficients": [-0.5], "intercept": 0.8}
    spread = {"number": 9, "mean": 1.0, "deviation": 0.1, "smallest": 0.8}
    full = replace(
        CALIBRATION,
        quality={"whole tumor": {"regressions": {"0": regression}, "scores": {"T1": {"0": [-0.1, 0.2]}}}},
        input_checks={
            "spreads": {"T2": {"unlike": {"T1": {"": spread}}}},
            "weights": {"": {"T1": {"T2": [1.5]}}},
            "classes": {"T1": {"means": {"T1": [0.0]}, "precision": [[1.0]]}},
        },
    )
    found = Calibration.read(full.write(tmp_path))
    assert (found.quality, found.input_checks) == (full.quality, full.input_checks)


def change_level(content):
    content["level"] = 0.95


def change_score(content):
    content["scores"]["whole tumor"]["T1"]["0"][0] = 0.4


def drop_section(content):
    del content["temperatures"]


def other_format(content):
    content["format_version"] = 2


def add_entry(content):
    content["note"] = "checked"


def add_entry_within(content):
    content["model"]["note"] = "checked"


@pytest.mark.parametrize(
    "change", [change_level, change_score, drop_section, other_format, add_entry, add_entry_within]
)
def test_an_edited_file_is_refused(tmp_path, change):
    file = CALIBRATION.write(tmp_path)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="calibrate again"):
        Calibration.read(file)


def test_what_a_later_version_adds_is_left_out(tmp_path):
    file = CALIBRATION.write(tmp_path)
    content = json.loads(file.read_text())
    content["more"], content["model"]["more"] = 1, [2]
    file.write_text(json.dumps({**content, "sha256": digest(content)}))
    assert replace(Calibration.read(file), sha256="") == CALIBRATION


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    file = CALIBRATION.write(tmp_path)
    file.write_text(file.read_text()[:-40])
    with pytest.raises(DataError, match="not valid JSON"):
        Calibration.read(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        Calibration.read(tmp_path / FILE_NAME)
