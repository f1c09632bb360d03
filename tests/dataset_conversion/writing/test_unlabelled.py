"""Cases without a segmentation: refused with both remedies, or training cases that say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from nnunet_hetero.dataset_conversion import brats
from nnunet_hetero.dataset_conversion.writing.images import read_image
from nnunet_hetero.dataset_conversion.writing.unlabelled import background_outside

SITES = ("HGG/Brats18_CBICA_AQN_1", "HGG/Brats18_TCIA01_131_1", "LGG/Brats18_2013_0_1")
NAME = "Brats18_2013_0_1"


def _convert(raw, *arguments):
    return brats.main(["-i", str(raw), "-d", "501", "-np", "1", *arguments])


@pytest.fixture
def raw(tmp_path, write_case) -> Path:
    """Three cases, the last without T1c and without segmentation."""
    for index, folder in enumerate(SITES, start=1):
        write_case(tmp_path / "raw" / folder, index, without=("", "", "t1ce,seg")[index - 1].split(","))
    return tmp_path / "raw"


@pytest.fixture
def dataset(nnunet_raw) -> Path:
    return nnunet_raw / "Dataset501_BraTS"


def test_refused_with_both_remedies(raw, dataset, capsys):
    assert _convert(raw) == 1
    error = capsys.readouterr().err
    assert NAME in error and "'--unlabelled train'" in error and "'--unlabelled test'" in error
    assert "ignore" not in json.loads((dataset / "dataset.json").read_text())["labels"]


@pytest.mark.parametrize("flags", [["--unlabelled", "test"], ["--unlabelled-to-imagesTs"]])
def test_as_test_cases(raw, dataset, flags):
    assert _convert(raw, *flags) == 0
    assert (dataset / "imagesTs" / f"{NAME}_0000.nii.gz").is_file()
    content = json.loads((dataset / "dataset.json").read_text())
    assert "ignore" not in content["labels"] and "unlabelled_cases" not in content


class TestOutside:
    def test_a_case_that_is_segmented_in_part_ignores_nothing_there(self):
        image = np.zeros((4, 4, 4))
        image[:3, :3, :3] = 7
        image[1, 1, 1] = 0  # a hole in the images is no outside
        label = np.full((4, 4, 4), 3, np.uint8)
        label[0, 0] = [0, 1, 2, 1]
        found = background_outside(label, [np.zeros_like(image), image], 3)
        assert found[1, 1, 1] == 3 and not found[3].any() and not found[:, 3, :].any()
        assert found[0, 0].tolist() == [0, 1, 2, 1] and found.dtype == np.uint8

    def test_without_it_nothing_is_looked_at(self):
        label = np.zeros((2, 2, 2), np.uint8)
        assert background_outside(label, [], 3) is label


class TestTraining:
    def test_the_label_map_is_the_ignore_label_within_the_images(self, raw, dataset, capsys):
        assert _convert(raw, "--unlabelled", "train") == 0
        assert "3 training cases (1 of them without a segmentation)" in capsys.readouterr().out
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["labels"]["ignore"] == 4 and content["unlabelled_cases"] == [NAME]
        assert content["missing_modalities"] == {NAME: ["T1c"]}
        values, grid = read_image(dataset / "labelsTr" / f"{NAME}.nii.gz")
        image, other = read_image(dataset / "imagesTr" / f"{NAME}_0000.nii.gz")
        images = [read_image(dataset / "imagesTr" / f"{NAME}_{channel:04d}.nii.gz")[0] for channel in range(4)]
        # Ignored outside as well, its images would be normalised with the zeros around them.
        within = binary_fill_holes(np.any(images, axis=0))
        assert (values == np.where(within, 4, 0)).all() and values.shape == image.shape and not within.all()
        assert grid.difference(other, "image") is None
        labelled, _ = read_image(dataset / "labelsTr" / "Brats18_CBICA_AQN_1.nii.gz")
        assert not (labelled == 4).any()

    def test_without_such_cases_nothing_changes(self, raw, dataset):
        (raw / SITES[2] / f"{NAME}_t1.nii.gz").parent.rename(raw.parent / "elsewhere")
        assert _convert(raw, "--unlabelled", "train") == 0
        content = json.loads((dataset / "dataset.json").read_text())
        assert "ignore" not in content["labels"] and "unlabelled_cases" not in content

    def test_a_second_run_keeps_what_is_there(self, raw, dataset, capsys):
        assert _convert(raw) == 1  # without the flag first
        assert _convert(raw, "--unlabelled", "train") == 0
        capsys.readouterr()
        assert _convert(raw, "--unlabelled", "train") == 0
        assert "(3 of them from an earlier run)" in capsys.readouterr().out

    def test_one_that_gets_its_segmentation_is_made_anew(self, raw, dataset, write_case, capsys):
        assert _convert(raw, "--unlabelled", "train") == 0
        write_case(raw / SITES[2], 3, without=["t1ce"])
        assert _convert(raw, "--unlabelled", "train") == 0
        content = json.loads((dataset / "dataset.json").read_text())
        assert "unlabelled_cases" not in content and "ignore" not in content["labels"]
        values, _ = read_image(dataset / "labelsTr" / f"{NAME}.nii.gz")
        assert values.max() < 4
