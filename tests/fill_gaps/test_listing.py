"""Gaps in a dataset.json that lists its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.cohorts.gaps import DIRECTION, MISSING, fill, snapshot
from helpers.tiny_model import tiny_dataset_json, write_image, write_json
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from skimage import io

from nnunet_hetero.cases.raw_dataset import read_dataset_json
from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.fill_gaps.fill import undo


def _write_itk(file: Path, array: np.ndarray) -> None:
    write_image(file, array, 1.5, (3.25, -7.5, 11.0), DIRECTION)


def _write_png(file: Path, array: np.ndarray) -> None:
    io.imsave(file, array[0].astype(np.uint8), check_contrast=False)


def _write_tif(file: Path, array: np.ndarray) -> None:
    tifffile.imwrite(file, array.astype(np.uint8), compression="zlib")


class TestListedFiles:
    """A dataset.json that lists its files under 'dataset'."""

    @pytest.fixture
    def listed(self, dataset):
        elsewhere = dataset.parent / "elsewhere"
        (dataset / "imagesTr").rename(elsewhere)
        cases = {
            case: {
                "images": [
                    f"../elsewhere/{case}_{channel:04d}.nii.gz"
                    for channel in range(4)
                    if (elsewhere / f"{case}_{channel:04d}.nii.gz").exists()
                ],
                "label": f"labelsTr/{case}.nii.gz",
            }
            for case in "abcdef"
        }
        write_json(dataset / "dataset.json", {**tiny_dataset_json(num_training=6), "dataset": cases})
        return dataset

    def test_filled_verified_and_undone(self, listed, monkeypatch, capsys):
        from helpers.tiny_dataset import threads_for_processes

        threads_for_processes(monkeypatch)
        before = snapshot(listed.parent)
        assert fill(listed).missing == MISSING
        content = read_dataset_json(listed)
        assert content["dataset"]["c"]["images"] == [
            "imagesTr/c_0000.nii.gz",
            "../elsewhere/c_0001.nii.gz",
            "../elsewhere/c_0002.nii.gz",
            "imagesTr/c_0003.nii.gz",
        ]
        verify_dataset_integrity(str(listed), 1)
        assert fill(listed).written == 0
        undo(CaseFolder.of_dataset(listed))
        (listed / "imagesTr").rmdir()
        assert snapshot(listed.parent) == before

    @pytest.mark.parametrize("absent", [None, "scans/never_there.nii.gz"], ids=["null", "not there"])
    def test_own_names_need_an_entry_per_channel(self, listed, absent):
        content = read_dataset_json(listed)
        for channel in (0, 2, 3):
            shutil.copy(listed.parent / "elsewhere" / f"a_{channel:04d}.nii.gz", listed / f"scan{channel}.nii.gz")
        content["dataset"]["a"]["images"] = ["scan0.nii.gz", absent, "scan2.nii.gz", "scan3.nii.gz"]
        write_json(listed / "dataset.json", content)
        fill(listed)
        filled = read_dataset_json(listed)["dataset"]["a"]["images"]
        assert filled == ["scan0.nii.gz", "imagesTr/a_0001.nii.gz", "scan2.nii.gz", "scan3.nii.gz"]
        undo(CaseFolder.of_dataset(listed))
        assert read_dataset_json(listed) == content
        content["dataset"]["a"]["images"].remove(absent)
        write_json(listed / "dataset.json", content)
        with pytest.raises(DataError, match="the list has 3 entries"):
            fill(listed)

    def test_an_image_that_replaced_a_zero_volume_stays_listed(self, listed):
        fill(listed)
        shutil.copy(listed.parent / "elsewhere" / "c_0001.nii.gz", listed / "imagesTr" / "c_0000.nii.gz")
        assert fill(listed).missing == {"a": ["T1c"], "c": ["FLAIR"]}
        undo(CaseFolder.of_dataset(listed))
        images = read_dataset_json(listed)["dataset"]["c"]["images"]
        assert images == ["imagesTr/c_0000.nii.gz", "../elsewhere/c_0001.nii.gz", "../elsewhere/c_0002.nii.gz", None]

    def test_a_file_for_two_channels(self, listed):
        content = read_dataset_json(listed)
        content["dataset"]["b"]["images"][1] = content["dataset"]["c"]["images"][0]
        write_json(listed / "dataset.json", content)
        with pytest.raises(DataError, match=r"lists .*c_0001.nii.gz 2 times"):
            fill(listed)

    def test_a_file_in_the_way(self, listed):
        (listed / "imagesTr").mkdir()
        shutil.copy(listed.parent / "elsewhere" / "b_0001.nii.gz", listed / "imagesTr" / "a_0001.nii.gz")
        with pytest.raises(DataError, match=r"a_0001\.nii\.gz is there, but dataset\.json does not list it"):
            fill(listed)
