"""The command evaluate on a tiny model with random weights."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from helpers.evaluation import REGIONS, labelled_folders
from helpers.tiny_model import write_case, write_image

from nnunet_hetero.cli.main import main


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    return labelled_folders(tmp_path)


class TestCommand:
    COMMAND = ("evaluate", "-d", "501", "-c", "3d_fullres", "-device", "cpu", "--disable_tta", "--disable_progress_bar")

    def test_all_subsets(self, tiny_model, tmp_path, capsys):
        assert main([*self.COMMAND, "-f", "0", "-o", str(tmp_path)]) == 0
        assert (tmp_path / "table.md").read_text() in capsys.readouterr().out
        with (tmp_path / "metrics.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 2 * 15 * 3
        columns = "case subset n_modalities region dice hd95 nsd sensitivity precision volume_error_ml"
        assert list(rows[0]) == columns.split()
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert len(summary["subsets"]) == 15
        assert summary["regions"] == list(REGIONS)

    def test_all_metrics_and_completion(self, tmp_path, capsys):
        flags = ["--subsets", "T1", "T1+FLAIR", "--metrics", "all", "--completion", "--nsd_tolerance", "2"]
        flags += ["--remove_small", "enhancing tumor", "5", "--lesion_rule", "metastases"]
        assert main([*self.COMMAND, "-f", "0", "-o", str(tmp_path), *flags]) == 0
        assert "metrics.csv, completion.csv, summary.json, table.md, report.html" in capsys.readouterr().out
        assert "every subset of" in (tmp_path / "report.html").read_text()
        with (tmp_path / "metrics.csv").open() as stream:
            columns = csv.DictReader(stream).fieldnames
        expected = "dice hd95 nsd lesion_dice lesion_hd95 sensitivity precision volume_error_ml"
        assert columns[4:] == expected.split()
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert "tolerance of 2 mm" in summary["conventions"]["nsd"]
        assert "metastases" in summary["conventions"]["lesion_dice"]
        assert "fewer than 5 voxels" in summary["postprocessing"]

    def test_failed_case_gives_exit_code_1(self, folders, capsys):
        write_case(folders["images"], "b", labels=folders["labels"])
        shutil.copy(folders["labels"] / "a.nii.gz", folders["images"] / "b_0000.nii.gz")
        write_image(folders["images"] / "b_0000.nii.gz", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
        flags = ["-f", "0", "-i", folders["images"], "-l", folders["labels"], "-o", folders["output"]]
        assert main([*self.COMMAND, *map(str, flags), "--subsets", "T1", "T1+FLAIR"]) == 1
        assert "error: Case 'b'" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["-i", "x"], "-i and -l belong together"),
            (["--remove_small", "tumor core", "x"], "--remove_small: 'x' is no number of voxels"),
            (["--nsd_tolerance", "-1"], "--nsd_tolerance is -1"),
            (["-i", "x", "-l", "y"], "say with -o"),
            (["-d", "777"], "777"),
            (["-d", "nonsense"], "nonsense"),
            (["-tr", "OtherTrainer"], "no trained model at"),
        ],
    )
    def test_errors_of_the_user(self, flags, message, capsys):
        assert main([*self.COMMAND, *flags]) == 1
        assert message in capsys.readouterr().err

    def test_no_cuda(self, monkeypatch, capsys):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert main(["evaluate", "-d", "501", "-c", "3d_fullres"]) == 1
        assert "-device cpu" in capsys.readouterr().err
