"""A dataset that is half written, because the conversion was killed, is finished or refused, but never used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

from nnunet_hetero.dataset_conversion import brats
from nnunet_hetero.dataset_conversion.writing import common
from nnunet_hetero.dataset_conversion.writing.dataset import LabelScheme, unseen_labels

CASES = [f"BraTS20_Training_00{index}" for index in range(1, 4)]


def _convert(raw, *arguments):
    return brats.main(["-i", str(raw), "-d", "501", "-np", "1", *arguments])


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def raw(tmp_path, write_case) -> Path:
    for index, name in enumerate(CASES, start=1):
        write_case(tmp_path / "raw" / name, index, without=("t2",) if index == 3 else ())
    return tmp_path / "raw"


@pytest.fixture
def killed(raw, nnunet_raw, monkeypatch) -> Path:
    """A dataset whose conversion stopped at the second case's third image; an earlier one of two cases was whole."""
    hidden = (raw / CASES[0]).rename(raw.parent / CASES[0])
    assert _convert(raw) == 0
    hidden.rename(raw / CASES[0])
    write = common.write_atomically

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == f"{CASES[0]}_0002.nii.gz":
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(common, "write_atomically", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _convert(raw)
    return nnunet_raw / "Dataset501_BraTS"


class TestKilledConversion:
    def test_nnunet_refuses_it(self, killed, tmp_path, monkeypatch):
        assert (killed / "unfinished_dataset.json").is_file() and not (killed / "dataset.json").exists()
        import nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor as extractor

        monkeypatch.setattr(extractor, "nnUNet_raw", str(killed.parent))
        monkeypatch.setattr(extractor, "nnUNet_preprocessed", str(tmp_path / "preprocessed"))
        with pytest.raises(FileNotFoundError, match=r"dataset\.json"):
            nnunet.extract_fingerprints([501], num_processes=1)
        with pytest.raises(AssertionError, match=r"dataset\.json"):
            nnunet.extract_fingerprints([501], num_processes=1, check_dataset_integrity=True)

    def test_the_same_command_finishes_it(self, killed, raw, tmp_path, monkeypatch, capsys):
        capsys.readouterr()
        assert _convert(raw) == 0
        assert "3 training cases (2 of them from an earlier run)" in capsys.readouterr().out
        (tmp_path / "fresh").mkdir()
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / "fresh"))
        assert _convert(raw) == 0
        assert _content(killed) == _content(tmp_path / "fresh" / killed.name)

    @pytest.mark.parametrize("options", [("--labels",), ("--modalities", "T1", "FLAIR")])
    def test_another_dataset_is_not_written_over_it(self, options, killed, raw, capsys):
        before = _content(killed)
        assert _convert(raw, *options) == 1
        assert "holds another dataset" in capsys.readouterr().err
        assert _content(killed) == before

    def test_kill_signal(self, raw, nnunet_raw):
        script = Path(brats.__file__)
        command = [sys.executable, str(script), "-i", str(raw), "-d", "501", "-np", "1"]
        slow = (
            "import runpy, sys, time\nfrom nnunet_hetero.dataset_conversion.writing import common\n"
            "write = common.write_atomically\n"
            "common.write_atomically = lambda path, content: (time.sleep(0.05), write(path, content))\n"
            f"sys.argv = {command[1:]!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", slow], env={**os.environ, "nnUNet_raw": str(nnunet_raw)}, stderr=subprocess.DEVNULL
        )
        dataset = nnunet_raw / "Dataset501_BraTS"
        while process.poll() is None and not list(dataset.glob("imagesTr/*_0001.nii.gz")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (dataset / "dataset.json").exists()
        assert _convert(raw) == 0
        assert (dataset / "dataset.json").is_file() and not (dataset / "unfinished_dataset.json").exists()


def test_labels_of_which_no_case_has_a_voxel():
    scheme = LabelScheme({"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, {0: 0, 1: 1, 4: 2})
    assert unseen_labels(scheme, [(0, 1), (0,)]) == ["core"]
    assert unseen_labels(scheme, [(1,), (2, 3)]) == []
    assert unseen_labels(scheme, [(0,), (0,)]) == ["whole", "core"]
    assert unseen_labels(scheme, [(3,), ()]) == [] == unseen_labels(scheme, [])  # none has a segmentation
    assert unseen_labels(scheme, [(0,), None]) == []  # a record of an earlier version
