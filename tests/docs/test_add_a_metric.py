"""The page on metrics of one's own: its package is installed, and its numbers are everywhere."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from helpers.evaluation import labelled_folders
from helpers.project.example_package import install, run_command

from nnunet_hetero.evaluation.report.run_report import write_run_report

COLUMNS = ["mean_surface_distance", "volume_ratio"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return install(Path("how-to/add-a-metric.md"), tmp_path_factory.mktemp("package"))


def test_a_metric_of_another_package_is_in_file_table_report_and_comparison(nnunet_folders, environment, tmp_path):
    environment = {**environment, **nnunet_folders.environment()}
    folders = labelled_folders(tmp_path)
    model = ["-d", "501", "-c", "3d_fullres", "-f", "0", "-i", folders["images"], "-l", folders["labels"]]
    how = ["-device", "cpu", "--disable_tta", "--disable_progress_bar", "--subsets", "T1", "T1+FLAIR"]
    outputs = [tmp_path / name for name in ("first", "second")]
    metrics = ["--metrics", "surface_distance", "volume_ratio", "volume"]
    done = run_command(environment, "evaluate", *model, *how, *metrics, "-o", outputs[0])
    assert done.returncode == 0, done.stderr
    with (outputs[0] / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[4:] == ["dice", "volume_error_ml", *COLUMNS]
    for row in rows:
        assert float(row["mean_surface_distance"]) > 0
        excess = float(row["volume_error_ml"])  # mm are voxels here
        assert (float(row["volume_ratio"]) > 1) == (excess > 0)
    assert "| Mean surface distance in mm |" in done.stdout and "| Volume ratio in %" in done.stdout
    summary = json.loads((outputs[0] / "summary.json").read_text(encoding="utf-8"))
    assert summary["conventions"]["volume_ratio"] == "Predicted over true volume. Empty truth: no value."
    assert "Mean surface distance in mm, mean over cases; lower is better." in (outputs[0] / "report.html").read_text()

    shutil.copytree(outputs[0], outputs[1])
    names = ["--names", "ours", "theirs", "--metric", "mean_surface_distance", "-o", tmp_path / "compared"]
    done = run_command(environment, "compare", *outputs, *names)
    assert done.returncode == 0, done.stderr
    assert "Mean surface distance in mm" in done.stdout

    # Here, the package is not installed.
    text = write_run_report(outputs[0]).read_text(encoding="utf-8")
    assert "Mean surface distance in mm, mean over cases; lower is better." in text


def test_a_package_that_is_broken_is_named_at_once(environment, tmp_path):
    (tmp_path / "my_metrics.py").write_text("SURFACE_DISTANCE = 1\n")
    broken = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    done = run_command(broken, "evaluate", "-h")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (
        "'surface_distance' of the package my-metrics (nnunet_hetero.metrics) is of type int, not a Metric"
        in done.stderr
    )
