"""The page of a calibration."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from calibration.test_fit import row
from matplotlib import rc_context
from reliability.test_calibration_file import CALIBRATION

from nnunet_hetero.calibration.fit import fitted_scores, fitted_temperatures
from nnunet_hetero.calibration.records import CaseRecord
from nnunet_hetero.calibration.report import write_calibration_report
from nnunet_hetero.reliability.temperature import voxel_counts


def records() -> list[CaseRecord]:
    """20 patients in two folds, wrong by chance, the more the fewer modalities."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(20):
        rows, voxels = [], {}
        for subset, spread in (("T1", 0.6), ("T2", 0.5), ("T1+T2", 0.1)):
            size = float(9.9 * rng.lognormal(sigma=spread))
            n_modalities = subset.count("+") + 1
            changes = {"fold": str(number % 2), "subset": subset, "n_modalities": n_modalities, "disagreement": spread}
            rows.append(row(f"case_{number}", size, **changes))
            probability = rng.uniform(size=500)
            counts = voxel_counts(probability, rng.uniform(size=500) < probability**2).tolist()
            voxels[subset] = {"near": counts, "brain": counts}
        found.append(CaseRecord(rows, {"core": voxels}))
    return found


def test_the_page(tmp_path):
    made = records()
    rows = [one for record in made for one in record.rows]
    calibration = replace(
        CALIBRATION,
        scores=fitted_scores(rows, ["core"], True, False),
        temperatures=fitted_temperatures(made, ["core"]),
        patients=20,
    )
    page = write_calibration_report(tmp_path, calibration, rows, made).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3 and "<script" not in page
    for word in ("Do the intervals hold?", "Probabilities", "temperature", "core", "hold by themselves"):
        assert word in page
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == [
        "coverage.png",
        "reliability.png",
        "widths.png",
    ]


@pytest.mark.parametrize(("unit", "word", "other"), [("ml", "volume", "area"), ("mm2", "area", "volume")])
def test_the_page_calls_areas_of_2d_images_so(tmp_path, unit, word, other):
    made = [CaseRecord([{**one, "unit": unit} for one in record.rows], record.voxels) for record in records()]
    rows = [one for record in made for one in record.rows]
    found = {"scores": fitted_scores(rows, ["core"], True, False), "temperatures": fitted_temperatures(made, ["core"])}
    page = write_calibration_report(tmp_path, replace(CALIBRATION, **found), rows, made).read_text(encoding="utf-8")
    assert f"intervals of {word}s" in page and f"each {word} was" in page and f"Share of true {word}s" in page
    assert f"true {other}s" not in page and f"of {other}s" not in page


def test_a_modality_may_have_a_plus_sign_in_its_name(tmp_path):
    made = [
        CaseRecord([{**one, "subset": one["subset"].replace("T2", "T1+Gd")} for one in record.rows], {})
        for record in records()
    ]
    voxels = [record.voxels for record in records()]
    made = [replace(record, voxels=own) for record, own in zip(made, voxels, strict=True)]
    rows = [one for record in made for one in record.rows]
    scores = fitted_scores(rows, ["core"], True, False)
    calibration = replace(CALIBRATION, modalities=["T1", "T1+Gd"], scores=scores, patients=20)
    calibration = replace(calibration, temperatures={"core": {"all": 1.0}})
    assert "T1, T1+Gd" in write_calibration_report(tmp_path, calibration, rows, made).read_text(encoding="utf-8")


def test_too_few_patients_leave_no_empty_picture(tmp_path):
    made = records()[:2]
    rows = [one for record in made for one in record.rows]
    calibration = replace(
        CALIBRATION,
        joint=True,
        by_disagreement=False,
        scores=fitted_scores(rows, ["core"], False, True),
        temperatures=fitted_temperatures(made, ["core"]),
        patients=2,
    )
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "widths.png").write_bytes(b"of an earlier calibration")
    with rc_context({"font.size": 30}):  # as nnU-Net's figure of a training leaves it; axes would have no room
        page = write_calibration_report(tmp_path, calibration, rows, made).read_text(encoding="utf-8")
    assert "–" in page and "simultaneously" in page and "all regions at once" in page
    assert not (tmp_path / "figures" / "widths.png").exists()


@pytest.mark.parametrize(("patients", "words"), [(1, "1 patient"), (2, "2 patients")])
def test_one_patient_is_no_patients(tmp_path, patients, words):
    made = records()[:patients]
    rows = [one for record in made for one in record.rows]
    calibration = replace(
        CALIBRATION,
        scores=fitted_scores(rows, ["core"], True, False),
        temperatures=fitted_temperatures(made, ["core"]),
        patients=patients,
    )
    page = write_calibration_report(tmp_path, calibration, rows, made).read_text(encoding="utf-8")
    assert words in " ".join(re.sub("<[^>]*>", " ", page).split())
    assert ("patients" in words) or "1 patients" not in page
