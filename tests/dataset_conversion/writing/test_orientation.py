"""A raw cohort of several orientations becomes a data set of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_hetero.cases.orientation import orientation_of, reoriented
from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.common import convert_cohort
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme
from nnunet_hetero.dataset_conversion.writing.orientation import orientations_of_raw_cases
from nnunet_hetero.dataset_conversion.writing.summary import conversion_in_words
from nnunet_hetero.reorient.listing import mixture_in_words

SPEC = DatasetSpec(("T1", "T2"), LabelScheme({"background": 0, "tumor": 1}, {0: 0, 1: 1}), "test data")
COHORT = {"a": "RAS", "b": "RAS", "c": "PIL", "d": "LSA"}


def straight(seed: int) -> dict[str, sitk.Image]:
    """Images and label of a case, RAS."""
    random = np.random.default_rng(seed)
    voxels = {name: random.normal(5, 1, (5, 6, 7)).astype(np.float32) for name in ("T1", "T2")}
    voxels["seg"] = random.integers(0, 2, (5, 6, 7)).astype(np.uint8)
    images = {name: sitk.GetImageFromArray(array) for name, array in voxels.items()}
    for image in images.values():
        image.SetSpacing((1.0, 1.5, 3.0))
        image.SetOrigin((-20.0, 10.0, 5.0))
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    return images


@pytest.fixture
def raw(tmp_path):
    """Function that writes the cohort and gives its cases; it takes orientations by case, or by case and image."""

    def write(cohort) -> list[RawCase]:
        cases = []
        for seed, (case, orientation) in enumerate(cohort.items()):
            files = {}
            for name, image in straight(seed).items():
                files[name] = tmp_path / "raw" / f"{case}_{name}.nii.gz"
                files[name].parent.mkdir(exist_ok=True)
                turn = orientation if isinstance(orientation, str) else orientation[name]
                sitk.WriteImage(reoriented(image, turn), str(files[name]))
            cases.append(RawCase(case, (files["T1"], files["T2"]), files["seg"]))
        return cases

    return write


def require_right(folder: Path, orientation: str) -> None:
    """Each voxel of each case has its value at its place."""
    for seed, case in enumerate(COHORT):
        places = {"T1": f"imagesTr/{case}_0000", "T2": f"imagesTr/{case}_0001", "seg": f"labelsTr/{case}"}
        for name, image in straight(seed).items():
            found = sitk.ReadImage(str(folder / f"{places[name]}.nii.gz"))
            expected = reoriented(image, orientation)
            assert orientation_of(found) == orientation
            assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
            np.testing.assert_allclose(found.GetOrigin(), expected.GetOrigin(), atol=1e-5)
            np.testing.assert_allclose(found.GetSpacing(), expected.GetSpacing(), atol=1e-6)


def test_all_get_that_of_most(raw, tmp_path):
    cases = raw(COHORT)
    assert orientations_of_raw_cases(cases) == COHORT
    summary = convert_cohort(tmp_path / "out", SPEC, cases, processes=1, progress=False)
    assert not summary.failures
    require_right(tmp_path / "out", "RAS")
    assert mixture_in_words(tmp_path / "out") is None
    assert summary.turned == {"c": "PIL", "d": "LSA"}
    assert "turned to RAS" in conversion_in_words(summary)


def test_one_orientation_is_kept_whatever_it_is(raw, tmp_path):
    summary = convert_cohort(tmp_path / "out", SPEC, raw(dict.fromkeys(COHORT, "PIL")), processes=1, progress=False)
    require_right(tmp_path / "out", "PIL")
    assert summary.turned == {}
    assert "turned" not in conversion_in_words(summary)


def test_files_of_one_case(raw, tmp_path):
    """They lie on one grid in space, though not in the order of their voxels."""
    cohort = {**COHORT, "a": {"T1": "RAS", "T2": "LPI", "seg": "ASR"}}
    summary = convert_cohort(tmp_path / "out", SPEC, raw(cohort), processes=1, progress=False)
    assert not summary.failures
    require_right(tmp_path / "out", "RAS")


def test_another_majority_turns_the_others(raw, tmp_path):
    """A second run on more cases, most of which have another orientation, leaves no mixture behind."""
    convert_cohort(tmp_path / "out", SPEC, raw(COHORT), processes=1, progress=False)
    again = convert_cohort(tmp_path / "out", SPEC, raw(COHORT), processes=1, progress=False)
    assert len(again.redone) == 4  # new dates of the raw files
    cases = raw({**COHORT, "e": "PIL", "f": "PIL"})
    summary = convert_cohort(tmp_path / "out", SPEC, cases, processes=1, progress=False)
    assert summary.orientation == "PIL"
    require_right(tmp_path / "out", "PIL")
    unchanged = convert_cohort(tmp_path / "out", SPEC, cases, processes=1, progress=False)
    assert len(unchanged.reused) == 6 and not unchanged.redone


def test_a_damaged_header_has_none(raw, tmp_path):
    cases = raw(COHORT)
    cases[0].images[0].write_bytes(b"no image")
    assert orientations_of_raw_cases(cases) == {case: COHORT[case] for case in "bcd"}
    summary = convert_cohort(tmp_path / "out", SPEC, cases, processes=1, progress=False)
    assert list(summary.failures) == ["a"]


def test_nnunet_reads_what_was_written(raw, tmp_path):
    convert_cohort(tmp_path / "out", SPEC, raw(COHORT), processes=1, progress=False)
    directions = set()
    for file in (tmp_path / "out").rglob("*.nii.gz"):
        _, properties = SimpleITKIO().read_images([str(file)])
        directions.add(properties["sitk_stuff"]["direction"])
    assert len(directions) == 1
