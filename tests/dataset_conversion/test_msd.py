"""Task01_BrainTumour as unpacked: 4D files, its own order of modalities and labels, litter of macOS."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.phantoms import phantom, save_nifti

from nnunet_hetero.dataset_conversion import msd
from nnunet_hetero.dataset_conversion.brats import REGIONS, REGIONS_CLASS_ORDER

ORDER = ("flair", "t1", "t1ce", "t2")  # of the volumes in their files
OURS = ("t1", "t1ce", "t2", "flair")
THEIR_LABEL = {0: 0, 1: 2, 2: 1, 4: 3}  # raw BraTS → MSD: oedema 1, non-enhancing 2, enhancing 3


def _label(source: dict) -> np.ndarray:
    return np.vectorize(THEIR_LABEL.get, otypes=[np.uint8])(source["seg"])


@pytest.fixture
def task(tmp_path) -> Path:
    """Two training cases, the second without T2 (a volume of zeros), and a test case."""
    folder = tmp_path / "download" / "Task01_BrainTumour"
    for index, (subset, name) in enumerate([("Tr", "BRATS_001"), ("Tr", "BRATS_002"), ("Ts", "BRATS_485")], start=1):
        source = phantom(index)
        volumes = np.stack([source[what] for what in ORDER], axis=-1).astype(np.float32)
        if index == 2:
            volumes[..., 3] = 0
        save_nifti(volumes, source["affine"], folder / f"images{subset}" / f"{name}.nii.gz")
        (folder / f"images{subset}" / f"._{name}.nii.gz").write_bytes(b"\0\5\x16\7")
        if subset == "Tr":
            save_nifti(_label(source), source["affine"], folder / "labelsTr" / f"{name}.nii.gz")
    _write_json(folder)
    return folder


def _write_json(folder: Path, **changes) -> None:
    training = ("BRATS_001", "BRATS_002")
    content = {
        "name": "BRATS",
        "tensorImageSize": "4D",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "numTraining": 2,
        "numTest": 1,
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in training],
        "test": ["./imagesTs/BRATS_485.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps({**content, **changes}))


def _convert(task: Path, *arguments: str) -> int:
    return msd.main(["-i", str(task), "-d", "504", "-np", "1", *arguments])


class TestConversion:
    @pytest.mark.parametrize("parent", [False, True])
    def test_voxels_affine_labels_and_gaps(self, parent, task, nnunet_raw):
        assert _convert(task.parent if parent else task) == 0
        dataset = nnunet_raw / "Dataset504_MSDBrainTumour"
        for index, (subset, name) in enumerate([("Tr", "BRATS_001"), ("Tr", "BRATS_002"), ("Ts", "BRATS_485")], 1):
            source = phantom(index)
            for channel, what in enumerate(OURS):
                image = nibabel.load(dataset / f"images{subset}" / f"{name}_{channel:04d}.nii.gz")
                expected = 0 * source[what] if (index, what) == (2, "t2") else source[what]
                assert np.array_equal(image.get_fdata(), expected)
                assert np.allclose(image.affine, source["affine"])
        for index, name in enumerate(["BRATS_001", "BRATS_002"], start=1):
            label = nibabel.load(dataset / "labelsTr" / f"{name}.nii.gz").get_fdata()
            seg = phantom(index)["seg"]
            assert np.array_equal(label, np.where(seg == 4, 3, seg))  # as the BraTS converter writes them
            assert set(np.unique(label)) == {0, 1, 2, 3}
        assert not (dataset / "labelsTs").exists()
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["channel_names"] == {"0": "T1", "1": "T1c", "2": "T2", "3": "FLAIR"}
        assert content["labels"] == REGIONS and tuple(content["regions_class_order"]) == REGIONS_CLASS_ORDER
        assert content["numTraining"] == 2 and content["missing_modalities"] == {"BRATS_002": ["T2"]}

    def test_plain_labels(self, task, nnunet_raw):
        assert _convert(task, "--labels") == 0
        labels = json.loads((nnunet_raw / "Dataset504_MSDBrainTumour/dataset.json").read_text())["labels"]
        assert labels == {"background": 0, "necrotic_core": 1, "edema": 2, "enhancing_tumor": 3}

    def test_order_and_numbers_are_taken_from_dataset_json(self, task, nnunet_raw):
        _write_json(
            task,
            modality={"0": "T2w", "1": "FLAIR", "2": "T1w", "3": "t1gd"},
            labels={"0": "background", "3": "edema", "2": "non-enhancing tumor", "1": "enhancing tumour"},
        )
        assert _convert(task) == 0
        dataset, source = nnunet_raw / "Dataset504_MSDBrainTumour", phantom(1)
        found = [nibabel.load(dataset / f"imagesTr/BRATS_001_{channel:04d}.nii.gz").get_fdata() for channel in range(4)]
        # T1, T1c, T2, FLAIR are now the volumes 2, 3, 0, 1 of a file that holds FLAIR, T1, T1c, T2.
        for data, what in zip(found, ("t1ce", "t2", "flair", "t1"), strict=True):
            assert np.array_equal(data, source[what])
        label = nibabel.load(dataset / "labelsTr/BRATS_001.nii.gz").get_fdata()
        assert np.array_equal(label == 3, source["seg"] == 2) and np.array_equal(label == 2, source["seg"] == 4)

    def test_dry_run_writes_nothing(self, task, nnunet_raw, capsys):
        assert _convert(task, "--dry-run") == 0
        assert list(nnunet_raw.iterdir()) == []
        assert "2 training cases, 1 test case" in capsys.readouterr().out

    def test_second_run_reads_nothing_again(self, task, nnunet_raw, capsys):
        assert _convert(task) == 0
        assert _convert(task) == 0
        assert "3 of them from an earlier run" in capsys.readouterr().out


def _image(task: Path) -> Path:
    return task / "imagesTr" / "BRATS_002.nii.gz"


def _reshape(task: Path, take: slice | int) -> None:
    image = nibabel.load(_image(task))
    save_nifti(image.get_fdata().astype(np.float32)[..., take], image.affine, _image(task))


CASES = {
    "no image": (lambda t: _image(t).unlink(), r"dataset.json lists .*BRATS_002.nii.gz, which is not there"),
    "no label": (
        lambda t: (t / "labelsTr/BRATS_002.nii.gz").unlink(),
        r"lists .*labelsTr/BRATS_002.nii.gz, which is not",
    ),
    "three volumes": (lambda t: _reshape(t, slice(0, 3)), r"shape \(24, 24, 24, 3\); expected 4D with 4 volumes"),
    "3D": (lambda t: _reshape(t, 0), r"shape \(24, 24, 24\); expected 4D with 4 volumes"),
    "truncated": (lambda t: _image(t).write_bytes(_image(t).read_bytes()[:5000]), r"BRATS_002.nii.gz cannot be read"),
    "other grid": (
        lambda t: save_nifti(np.zeros((24, 24, 23), np.uint8), np.eye(4), t / "labelsTr/BRATS_002.nii.gz"),
        r"has shape \(24, 24, 23\) instead of \(24, 24, 24\)",
    ),
    "unknown label": (
        lambda t: save_nifti(np.full((24, 24, 24), 4, np.uint8), phantom(2)["affine"], t / "labelsTr/BRATS_002.nii.gz"),
        r"has the labels 4; expected only 0, ",
    ),
    "label of another case": (
        lambda t: _write_json(
            t,
            training=[
                {"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"},
                {"image": "./imagesTr/BRATS_002.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"},
            ],
        ),
        r"the label ./labelsTr/BRATS_001.nii.gz of another case",
    ),
    "not listed": (
        lambda t: _write_json(
            t, training=[{"image": "imagesTr/BRATS_001.nii.gz", "label": "labelsTr/BRATS_001.nii.gz"}]
        ),
        r"BRATS_002.nii.gz is not listed in dataset.json",
    ),
}


class TestBadCases:
    @pytest.mark.parametrize("kind", CASES)
    def test_is_named_and_left_out(self, kind, task, nnunet_raw, capsys):
        damage, message = CASES[kind]
        damage(task)
        assert _convert(task) == 1
        assert re.search(rf"  BRATS_002: .*{message}", capsys.readouterr().err)
        assert not list(nnunet_raw.rglob("BRATS_002*"))


FOLDERS = {
    "other task": ({"modality": {"0": "CT"}}, "names the modalities ct; expected FLAIR, T1w, t1gd and T2w"),
    "other labels": ({"labels": {"0": "background", "1": "liver"}}, "names the labels background, liver; expected"),
    "no list": ({"training": None}, "'training' is null, not a list"),
}


class TestBadFolders:
    @pytest.mark.parametrize("kind", FOLDERS)
    def test_other_task(self, kind, task, nnunet_raw, capsys):
        changes, message = FOLDERS[kind]
        _write_json(task, **changes)
        assert _convert(task) == 1
        assert message in capsys.readouterr().err

    def test_no_task_or_broken_json(self, task, nnunet_raw, capsys):
        (task / "dataset.json").write_text("{")
        assert _convert(task) == 1
        (task / "dataset.json").unlink()
        assert _convert(task) == 1
        error = capsys.readouterr().err
        assert (
            "is not valid JSON" in error and "is not there" in error and "Give the folder Task01_BrainTumour" in error
        )


class TestUnpackedOnceMore:
    @pytest.mark.parametrize("name", ["BRATS_002.nii", "BRATS_002.nii.gz/image.nii", "BRATS_002.nii/BRATS_002.nii"])
    def test_is_read(self, name, task, nnunet_raw):
        image = nibabel.load(_image(task))
        data, affine = np.asanyarray(image.dataobj), image.affine
        _image(task).unlink()
        save_nifti(data, affine, task / "imagesTr" / name)
        assert _convert(task) == 0

    def test_an_unpacked_file_that_is_not_listed_is_named(self, task, nnunet_raw, capsys):
        save_nifti(np.zeros((3, 3, 3), np.uint8), np.eye(4), task / "imagesTr" / "BRATS_009.nii")
        assert _convert(task) == 1
        assert "BRATS_009.nii is not listed in dataset.json" in capsys.readouterr().err
