"""A label map that says nothing, and the cases that have one."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from nnunet_hetero.cases.label_maps.unlabelled import label_file, says_nothing, unlabelled_cases

IGNORE = 3


def label_map(*values: int) -> np.ndarray:
    found = np.full((4, 4, 4), IGNORE, np.int16)
    found.flat[: len(values)] = values
    return found


class TestSaysNothing:
    def test_the_ignore_label_alone(self):
        assert says_nothing(label_map(), IGNORE)

    def test_outside_of_the_images_does_not_count(self):
        assert says_nothing(label_map(-1, -1), IGNORE)

    @pytest.mark.parametrize("value", [0, 1, 2])
    @pytest.mark.parametrize("place", [0, 2, 63])
    def test_one_voxel_that_says_something(self, value, place):
        found = label_map()
        found.flat[place] = value
        assert not says_nothing(found, IGNORE)

    def test_nothing_but_outside_is_no_ignore_label(self):
        assert not says_nothing(np.full((4, 4, 4), -1), IGNORE)


CONTENT = {"labels": {"background": 0, "tumor": 1, "ignore": IGNORE}, "file_ending": ".nii.gz"}


def save(values: np.ndarray, path) -> None:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


class TestCases:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("labelsTr", "imagesTr"):
            (tmp_path / name).mkdir()
        for case, values in (("a", ()), ("b", (1,)), ("c", (0,))):
            save(label_map(*values), tmp_path / "labelsTr" / f"{case}.nii.gz")
            save(label_map(), tmp_path / "imagesTr" / f"{case}_0000.nii.gz")
        return tmp_path

    def test_label_maps_are_read_where_nobody_wrote_it_down(self, folder):
        assert unlabelled_cases(folder, CONTENT, ["a", "b", "c", "d"]) == {"a"}

    def test_background_outside_of_all_images_says_nothing(self, folder):
        for channel in range(2):
            image = label_map()
            image[0] = 0
            image[channel, 1] = 5  # within the images, since one of them is not zero
            save(image, folder / "imagesTr" / f"a_{channel:04d}.nii.gz")
        label = label_map()
        label[0] = 0
        label[0, 1] = IGNORE
        save(label, folder / "labelsTr" / "a.nii.gz")
        assert unlabelled_cases(folder, CONTENT, ["a"]) == {"a"}
        label[0, 1] = 0
        save(label, folder / "labelsTr" / "a.nii.gz")
        assert not unlabelled_cases(folder, CONTENT, ["a"])

    def test_what_a_converter_wrote_down_is_taken(self, tmp_path):
        content = {**CONTENT, "unlabelled_cases": ["b", "z"]}
        assert unlabelled_cases(tmp_path, content, ["a", "b"]) == {"b"}

    def test_without_an_ignore_label_nothing_is_read(self, tmp_path):
        assert not unlabelled_cases(tmp_path, {**CONTENT, "labels": {"background": 0}}, ["a"])

    def test_label_maps_that_dataset_json_lists(self, tmp_path):
        content = {**CONTENT, "dataset": {"a": {"label": "elsewhere/x.nii.gz"}}}
        assert label_file(tmp_path, content, "a") == tmp_path / "elsewhere" / "x.nii.gz"
        assert label_file(tmp_path, content, "b") == tmp_path / "labelsTr" / "b.nii.gz"
