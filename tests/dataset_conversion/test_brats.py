"""The dataset folder: dataset.json, reruns, what it refuses to overwrite, and what nnU-Net makes of it."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.accidents.leftovers import leave_draft

from nnunet_hetero.dataset_conversion import brats
from nnunet_hetero.dataset_conversion.writing import common

CASES = ("BraTS20_Training_001", "BraTS20_Training_002")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def raw(tmp_path, write_case) -> Path:
    """Two good cases, the second without T2; their files are an hour old."""
    write_case(tmp_path / "raw" / CASES[0], 1)
    write_case(tmp_path / "raw" / CASES[1], 2, without=("t2",))
    for path in (tmp_path / "raw").rglob("*.nii.gz"):
        _age(path)
    return tmp_path / "raw"


def _age(path: Path, hours: float = 1.0) -> None:
    moment = path.stat().st_mtime - 3600.0 * hours
    os.utime(path, (moment, moment))


def _convert(raw: Path, *arguments: str) -> int:
    return brats.main(["-i", str(raw), "-d", "501", "-np", "1", *arguments])


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _dataset_json(dataset: Path) -> dict:
    return json.loads((dataset / "dataset.json").read_text())


class TestDatasetJson:
    def test_regions(self, raw, nnunet_raw):
        assert _convert(raw, "--name", "Glioma") == 0
        assert _dataset_json(nnunet_raw / "Dataset501_Glioma") == {
            "channel_names": {"0": "T1", "1": "T1c", "2": "T2", "3": "FLAIR"},
            "labels": {"background": 0, "whole_tumor": [1, 2, 3], "tumor_core": [1, 3], "enhancing_tumor": 3},
            "regions_class_order": [2, 1, 3],
            "numTraining": 2,
            "file_ending": ".nii.gz",
            "name": "Dataset501_Glioma",
            "description": "BraTS 2020, converted from its raw layout",
            "converted_by": "nnunet_hetero",
            "label_mapping": {"0": 0, "1": 1, "2": 2, "4": 3},
            "missing_modalities": {CASES[1]: ["T2"]},
        }

    def test_plain_labels(self, raw, nnunet_raw):
        assert _convert(raw, "--labels") == 0
        content = _dataset_json(nnunet_raw / "Dataset501_BraTS")
        assert content["labels"] == {"background": 0, "necrotic_core": 1, "edema": 2, "enhancing_tumor": 3}
        assert "regions_class_order" not in content

    def test_nnunet_reads_regions_back_as_the_same_labels(self, raw, nnunet_raw):
        plans_handler = pytest.importorskip("nnunetv2.utilities.plans_handling.plans_handler")
        assert _convert(raw) == 0
        content = _dataset_json(nnunet_raw / "Dataset501_BraTS")
        plans = {"label_manager": "LabelManager", "configurations": {}}
        manager = plans_handler.PlansManager(plans).get_label_manager(content)
        labels = np.array([0, 1, 2, 3]).reshape(1, 1, 4)
        regions = [np.isin(labels, np.atleast_1d(value)) for value in list(content["labels"].values())[1:]]
        back = manager.convert_probabilities_to_segmentation(np.stack(regions).astype(np.float32))
        assert np.array_equal(back, labels)

    def test_nnunet_finds_the_dataset_sound(self, raw, nnunet_raw):
        verify = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
        assert _convert(raw) == 0
        verify.verify_dataset_integrity(str(nnunet_raw / "Dataset501_BraTS"), num_processes=1)


class TestRerun:
    def test_finished_cases_are_left_alone(self, raw, nnunet_raw, capsys):
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        before, inodes = _content(dataset), {p: p.stat().st_ino for p in dataset.rglob("*.nii.gz")}
        assert _convert(raw) == 0
        assert _content(dataset) == before
        assert {p: p.stat().st_ino for p in dataset.rglob("*.nii.gz")} == inodes
        assert "2 of them from an earlier run" in capsys.readouterr().out

    def test_interrupted_run_is_finished(self, raw, nnunet_raw, monkeypatch):
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        expected = _content(dataset)
        for path in [*dataset.rglob("*.nii.gz"), dataset / "dataset.json"]:
            path.unlink()

        written = []

        def interrupted(path: Path, content: bytes) -> None:
            if len(written) == 7:
                leave_draft(path, content[:100])
                raise KeyboardInterrupt
            written.append(path)
            path.write_bytes(content)

        with monkeypatch.context() as patch:
            patch.setattr(common, "write_atomically", interrupted)
            with pytest.raises(KeyboardInterrupt):
                _convert(raw)
        assert not (dataset / "dataset.json").exists()
        assert _convert(raw) == 0
        assert _content(dataset) == expected  # the torso of the interrupted file is gone, too

    @pytest.mark.parametrize(
        "lost", ["imagesTr/BraTS20_Training_001_0003.nii.gz", "labelsTr/BraTS20_Training_001.nii.gz"]
    )
    def test_incomplete_case_is_done_again(self, lost, raw, nnunet_raw, capsys):
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        before = _content(dataset)
        (dataset / lost).unlink()
        capsys.readouterr()
        assert _convert(raw) == 0
        assert _content(dataset) == before
        assert "1 of them from an earlier run" in capsys.readouterr().out

    def test_modality_that_arrives_later_is_taken_up(self, raw, nnunet_raw, write_case):
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        write_case(raw / CASES[1], 2)
        for path in (raw / CASES[1]).iterdir():
            _age(path, hours=48)  # unpacked from an archive, so no newer than the dataset
        assert _convert(raw) == 0
        assert _dataset_json(dataset)["missing_modalities"] == {}

    def test_source_newer_than_the_dataset_is_converted_again(self, raw, nnunet_raw, write_case):
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        label = dataset / "labelsTr" / f"{CASES[0]}.nii.gz"
        before = label.read_bytes()
        write_case(raw / CASES[0], 3)
        for path in raw.rglob("*.nii.gz"):
            _age(path, hours=-1)
        assert _convert(raw) == 0
        assert label.read_bytes() != before

    def test_case_that_went_bad_is_taken_out(self, raw, nnunet_raw):
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        (raw / CASES[1] / f"{CASES[1]}_seg.nii.gz").unlink()
        assert _convert(raw) == 1
        assert not list(dataset.glob(f"*/{CASES[1]}*"))
        assert _dataset_json(dataset)["numTraining"] == 1


def _write_json(dataset: Path, **changes) -> None:
    content = _dataset_json(dataset)
    (dataset / "dataset.json").write_text(json.dumps({**content, **changes}))


# What is done to a converted dataset (or, where "new", to an empty folder), and the error that follows.
OCCUPIED = {
    "other name": (
        lambda d: _write_json(d, name="Dataset501_Other"),
        r"'name' in its dataset.json is Dataset501_Other",
    ),
    "other channels": (lambda d: _write_json(d, channel_names={"0": "CT"}), r"'channel_names' in its dataset.json is"),
    "other labels": (lambda d: _write_json(d, labels={"background": 0}), r"'labels' in its dataset.json is"),
    "broken dataset.json": (lambda d: (d / "dataset.json").write_text("{"), r"dataset.json is not valid JSON"),
    "foreign image": (lambda d: (d / "imagesTr/other_0000.nii.gz").write_bytes(b""), r"imagesTr/other_0000.nii.gz"),
    "foreign label": (lambda d: (d / "labelsTr/other.nii.gz").write_bytes(b""), r"labelsTr/other.nii.gz"),
    "foreign test case": (
        lambda d: [(d / "imagesTs").mkdir(), (d / "imagesTs/other_0000.nii.gz").write_bytes(b"")],
        r"imagesTs/other_0000.nii.gz",
    ),
    "no dataset of ours": (
        lambda d: [(d / "dataset.json").unlink(), (d / "thesis.docx").write_bytes(b"")],
        r"already holds other content.*thesis.docx",
    ),
}


class TestOccupiedPlaces:
    @pytest.mark.parametrize("kind", OCCUPIED)
    def test_other_content_is_refused_and_kept(self, kind, raw, nnunet_raw, capsys):
        occupy, message = OCCUPIED[kind]
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert _convert(raw) == 0
        occupy(dataset)
        before = _content(dataset)
        capsys.readouterr()
        assert _convert(raw) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and str(dataset) in error
        assert re.search(message, error), error
        assert _content(dataset) == before

    def test_switching_to_plain_labels_is_refused(self, raw, nnunet_raw, capsys):
        assert _convert(raw) == 0
        assert _convert(raw, "--labels") == 1
        assert "'labels' in its dataset.json" in capsys.readouterr().err

    @pytest.mark.parametrize("variable", ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"])
    def test_number_taken_by_another_name(self, variable, raw, nnunet_raw, tmp_path, monkeypatch, capsys):
        place = nnunet_raw if variable == "nnUNet_raw" else tmp_path / variable
        (place / "Dataset501_Liver").mkdir(parents=True)
        monkeypatch.setenv(variable, str(place))
        assert _convert(raw) == 1
        error = capsys.readouterr().err
        assert variable in error and "Dataset501_Liver" in error and "-d" in error
        assert not (nnunet_raw / "Dataset501_BraTS").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-d", "0"], "'0' is no whole number, from 1 to 999"),
            (["-d", "1000"], "'1000' is no whole number, from 1 to 999"),
            (["-np", "0"], "'0' is no whole number, 1 or more"),
        ],
    )
    def test_bad_numbers(self, arguments, message, raw, nnunet_raw, capsys):
        with pytest.raises(SystemExit, match="2"):
            _convert(raw, *arguments)
        assert message in capsys.readouterr().err
        assert list(nnunet_raw.iterdir()) == []

    def test_bad_name(self, raw, nnunet_raw, capsys):
        assert _convert(raw, "--name", "a/b") == 1
        assert "dataset name 'a/b' is not valid" in capsys.readouterr().err
        assert list(nnunet_raw.iterdir()) == []

    def test_disk_full_is_said_plainly(self, raw, nnunet_raw, monkeypatch, capsys):
        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        assert _convert(raw) == 1
        error = capsys.readouterr().err
        assert re.search(r"error: .*\.json cannot be written \(No space left on device\)", error)
        assert not [path for path in nnunet_raw.rglob("*") if path.is_file()]

    def test_nnunet_raw_not_set(self, raw, monkeypatch, capsys):
        monkeypatch.delenv("nnUNet_raw", raising=False)
        assert _convert(raw) == 1
        assert "environment variable nnUNet_raw is not set" in capsys.readouterr().err


class TestProcesses:
    def test_plain_script_with_two_processes_gives_the_same(self, raw, nnunet_raw, tmp_path):
        script = REPOSITORY / "dataset_conversion" / "brats.py"
        assert _convert(raw) == 0
        other = tmp_path / "other"
        other.mkdir()
        done = subprocess.run(
            [sys.executable, str(script), "-i", str(raw), "-d", "501", "-np", "2"],
            env={**os.environ, "nnUNet_raw": str(other)},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "2 training cases" in done.stdout
        assert _content(other) == _content(nnunet_raw)

    def test_converters_do_not_load_torch(self):
        code = (
            "import sys, nnunet_hetero.dataset_conversion.brats, nnunet_hetero.dataset_conversion.phantom\n"
            "print([name for name in ('torch', 'nnunetv2') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
