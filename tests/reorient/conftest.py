"""A data set whose images have different orientations."""

from __future__ import annotations

import pytest
import SimpleITK as sitk
from helpers.tiny_model import tiny_dataset_json, write_case, write_json

from nnunet_hetero.cases.orientation import reoriented

CASES = {"a": "LPS", "b": "RAS", "c": "LPS", "d": "SAR", "e": "LPS"}


def turn(file, orientation: str) -> None:
    sitk.WriteImage(reoriented(sitk.ReadImage(str(file)), orientation), str(file))


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """``Dataset501_Mixed``: three cases are LPS, one is RAS and one SAR; a test case is RAS."""
    folder = tmp_path / "raw" / "Dataset501_Mixed"
    for seed, (case, orientation) in enumerate(CASES.items()):
        files = write_case(folder / "imagesTr", case, seed=seed, shape=(8, 9, 10), labels=folder / "labelsTr")
        for file in [*files, folder / "labelsTr" / f"{case}.nii.gz"]:
            if orientation != "LPS":
                turn(file, orientation)
    for file in write_case(folder / "imagesTs", "t", seed=9, shape=(8, 9, 10)):
        turn(file, "RAS")
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=len(CASES)))
    (tmp_path / "preprocessed").mkdir()
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    return folder
