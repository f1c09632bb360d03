"""The page on converters of one's own: its package is installed, and converts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.project.example_package import install, run_command
from helpers.tiny_model import read_array, write_case, write_image

CHANNELS = ("t1", "t2", "stir")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    environment = install(Path("how-to/add-a-converter.md"), folder)
    return {**environment, "nnUNet_raw": str(folder / "nnUNet_raw")}


@pytest.fixture
def raw(tmp_path):
    """Two patients, of whom the second has no T2; the label is 1 in the tumour."""
    for number, patient in enumerate(("p1", "p2")):
        folder = tmp_path / "raw" / patient
        files = write_case(folder, patient, seed=number, channels=CHANNELS, labels=folder)
        for name, file in zip(CHANNELS, files, strict=True):
            file.rename(folder / f"{name}.nii.gz")
        label = folder / f"{patient}.nii.gz"
        write_image(folder / "vertebrae.nii.gz", (read_array(label) > 0).astype(np.uint8))
        label.unlink()
    (tmp_path / "raw" / "p2" / "t2.nii.gz").unlink()
    return tmp_path / "raw"


def convert(environment, raw, *more):
    return run_command(environment, "convert", "spine", "-i", raw, "-np", 1, *more)


def test_it_is_listed_and_explained(environment):
    assert "  spine      of the package my-converter" in run_command(environment, "convert", "-h").stdout
    text = run_command(environment, "convert", "spine", "-h").stdout
    assert "Convert the spine cohort" in text and "folder with a folder per patient" in text


def test_it_converts(environment, raw):
    done = convert(environment, raw, "-d", 510)
    assert done.returncode == 0, done.stderr
    folder = Path(environment["nnUNet_raw"]) / "Dataset510_Spine"
    content = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert content["channel_names"] == {"0": "T1", "1": "T2", "2": "STIR"}
    assert content["missing_modalities"] == {"p2": ["T2"]} and content["numTraining"] == 2
    assert not read_array(folder / "imagesTr" / "p2_0001.nii.gz").any()
    np.testing.assert_array_equal(
        read_array(folder / "labelsTr" / "p1.nii.gz"), read_array(raw / "p1" / "vertebrae.nii.gz")
    )


def test_a_file_that_could_be_the_absent_modality_refuses_the_case(environment, raw):
    (raw / "p1" / "t2.nii.gz").rename(raw / "p2" / "T2_tse.nii.gz")
    done = convert(environment, raw, "-d", 511)
    assert done.returncode == 1
    assert "p2: unknown files: T2_tse.nii.gz" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def run(args): pass", "names my_converter, which has no function 'add_arguments'"),
        ("import no_such_module", "cannot be loaded from my_converter: ModuleNotFoundError: No module named"),
    ],
)
def test_a_broken_one_is_named_when_it_is_called(environment, tmp_path, text, message):
    (tmp_path / "my_converter.py").write_text(text, encoding="utf-8")
    broken = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    assert "spine" in run_command(broken, "convert", "-h").stdout
    done = run_command(broken, "convert", "spine", "-h")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"'spine' of the package my-converter (nnunet_hetero.converters) {message}" in done.stderr
