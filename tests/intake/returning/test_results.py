"""Which files of a prediction are of which case."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.returning.results import find_results, other_label_maps

NAMES = ["T1", "T1c"]


@pytest.fixture
def folder(tmp_path):
    for name in (
        *("a.nii.gz", "a_b.nii.gz", "other.nii.gz", "completed/a_0001.nii.gz", "completed/a_0001.json"),
        *("uncertainty/a_entropy_core.nii.gz", "uncertainty/a_b_entropy_core.nii.gz", "uncertainty/uncertainty.csv"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_each_has_its_own(folder):
    found = find_results(folder, ["a", "a_b", "c"], NAMES, ".nii.gz")
    assert found["a"].label_map == folder / "a.nii.gz"
    assert {what: file.name for what, file in found["a"].maps.items()} == {
        "completed T1c": "a_0001.nii.gz",
        "entropy_core": "a_entropy_core.nii.gz",
    }
    assert list(found["a_b"].maps) == ["entropy_core"]
    assert found["c"].label_map is None and not found["c"].maps


def test_others(folder):
    assert other_label_maps(folder, ["a", "a_b"], ".nii.gz") == ["other"]
