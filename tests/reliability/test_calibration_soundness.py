"""A calibration that was damaged and given a new digest: it is refused, or used without an error, key by key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from inference.output.test_quality_table import said
from reliability.test_calibration_file import CALIBRATION
from reliability.test_input_checks import NAMES, signs

from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.output.quality_table import predicted_quality, quality_rows
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.reliability.calibration_file import Calibration, digest
from nnunet_hetero.reliability.input_checks import alphas_of, first_sources, fit_input_checks, judge
from nnunet_hetero.reliability.input_verdict import verdicts
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.quality import Observation, Signs, fit_quality
from nnunet_hetero.reliability.volume_scale import VolumeScale

REGIONS = ("whole tumor", "core")
SHOWN = ("T1", "T2")
NEW = signs(99, present=SHOWN)
GONE = object()
DAMAGES = (GONE, None, "T1c", True, -1, 0, 3, 1e308, float("nan"), [], [0.5], {}, {"T1": 0.5})


def observed():
    for number in range(12):
        doubt = 0.02 * number
        for region in REGIONS:
            own = Signs(1 - doubt, 1 - doubt, doubt, 0.3)
            case = f"p{number}", str(number % 2), region, "T1+T2", (True, False, True, False)
            yield Observation(*case, own, 1 - doubt)


@pytest.fixture(scope="module")
def sound():
    """The content of a file with every part that there may be."""
    checks = fit_input_checks([(f"p{seed}", signs(seed, present=SHOWN)) for seed in range(9)], NAMES)
    checks["alphas"] = {"T1+T2": [0.005, 0.005]}
    of_subsets = {"T1+T2": {"0": [0.1] * 6, "1": [0.2] * 6}}
    calibration = replace(
        CALIBRATION,
        modalities=list(NAMES),
        scores=dict.fromkeys(REGIONS, of_subsets),
        temperatures={region: {"all": 1.5, "T1+T2": 2.0} for region in REGIONS},
        quality=fit_quality(observed()),
        input_checks=checks,
    )
    return calibration


@pytest.fixture
def read(tmp_path, sound):
    file = sound.write(tmp_path)

    def read(content):
        file.write_text(json.dumps({**content, "sha256": digest(content)}))
        return Calibration.read(file)

    return read


def places(content, path=()) -> Iterator[tuple]:
    """Every key, and of lists and of like entries the first."""
    keys = list(content) if isinstance(content, dict) else [0] if isinstance(content, list) and content else []
    for key in keys[:2] if len(path) > 1 else keys:
        yield (*path, key)
        yield from places(content[key], (*path, key))


def damaged(content, path, damage):
    changed = deepcopy(content)
    *above, key = path
    parent = changed
    for step in above:
        parent = parent[step]
    if damage is GONE:
        del parent[key]
    else:
        parent[key] = deepcopy(damage)
    return changed


def use(calibration: Calibration) -> None:
    """All that a prediction does with it, with the regions and modalities of the model."""
    if calibration.regions != list(REGIONS) or calibration.modalities != list(NAMES):
        return  # the calibration of another model, see test_calibrated.py
    folds, modalities = CalibrationInUse(calibration, ("0", "1")), Modalities(NAMES)
    scale, numbers = VolumeScale(0.001, "ml", 1000.0), np.array([[5.0, 1.0], [6.0, 0.0]])
    for subset in ("T1+T2", "T1", "FLAIR"):
        for one in folds.intervals(subset, numbers, numbers / 10, scale).values():
            assert (one.reason != "") == (one.low is None)
            if one.low is not None:
                assert 0 <= one.low <= one.high <= 1000
        temperatures = folds.temperatures(subset)
        assert temperatures.shape == (2,) and np.isfinite(temperatures).all()
    quality = predicted_quality(folds, modalities, (0, 2), [said(0.1), said(0.2)])
    for row in quality_rows(quality, calibration.level, 0.7):
        assert row["dice"] is None or math.isfinite(row["dice"])
        assert row["dice_low"] is None or math.isfinite(row["dice_low"])
        assert bool(row["note"]) == (row["dice_low"] is None)
    if calibration.input_checks is not None:
        first_sources(calibration.input_checks, NAMES, (0, 2))
        findings = judge(calibration.input_checks, NEW, NAMES, alphas_of(calibration.input_checks, NEW, NAMES))
        assert {one.modality for one in verdicts(findings, NEW, SHOWN)} == set(SHOWN)


def test_whatever_is_damaged_it_is_refused_or_of_use(read, sound):
    content = json.loads(json.dumps({"format_version": 1, **sound.content()}))
    use(read(content))
    refused = {}
    with np.errstate(all="ignore"):
        for path in places(content):
            for damage in DAMAGES:
                try:
                    found = read(damaged(content, path, damage))
                except DataError as error:
                    refused.setdefault(path[0], set()).add(str(error))
                else:
                    use(found)
    assert set(refused) | {"sha256"} == set(content)
    assert all("calibrate again" in words for found in refused.values() for words in found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["temperatures"].pop("core"), "'temperatures' is of whole tumor, 'scores' of"),
        (lambda content: content["temperatures"]["core"].pop("all"), "temperatures.core has no 'all'"),
        (lambda content: content["scores"]["core"]["T1+T2"].update({"7": [1.0]}), "scores of 7, of which it has no"),
        (lambda content: content["quality"]["core"]["regressions"]["0.0"]["mean"].pop(), "9 numbers, not 8"),
        (lambda content: content["quality"]["core"]["scores"]["T1+T2"].update({"9": [1.0]}), "a group without a"),
        (lambda content: content["input_checks"]["weights"]["FLAIR"]["T1"].update({"T2": [1.0]}), "2 numbers"),
        (lambda content: content["input_checks"]["classes"]["T1"]["means"].pop("T1"), "classes.T1"),
        (lambda content: content["input_checks"]["classes"]["T1"]["precision"].pop(), "classes.T1"),
    ],
)
def test_it_is_said_what_does_not_fit(read, sound, change, words):
    content = json.loads(json.dumps({"format_version": 1, **sound.content()}))
    content["input_checks"]["weights"]["FLAIR"] = {"T1": {"T2": [1.0, 2.0]}}
    read(deepcopy(content))
    change(content)
    with pytest.raises(DataError, match=words):
        read(content)


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path, sound):
    file = sound.write(tmp_path)
    deep = '{"more": ' + "[" * 900 + "]" * 900 + ", "
    file.write_text(file.read_text().replace("{", deep, 1))
    with pytest.raises(DataError, match="calibrate again"):
        Calibration.read(file)


def test_a_later_versions_file_is_the_same_calibration_wherever_it_is_copied(tmp_path, sound):
    file = sound.write(tmp_path)
    content = {**json.loads(file.read_text()), "more": 1}
    file.write_text(json.dumps({**content, "sha256": digest(content)}))
    found = Calibration.read(file)
    assert Calibration.read(found.write(tmp_path / "..")).sha256 == found.sha256
