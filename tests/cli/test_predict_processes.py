"""The real command in real processes: two parts at the same time, one of them killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.tiny_model import write_case

CASES = ("a", "b", "c", "d")


def start(model, images, output, *flags) -> subprocess.Popen:
    command = [sys.executable, "-W", "ignore", "-m", "nnunet_hetero.cli.main", "predict", "-i", images, "-o", output]
    command += ["-d", "501", "-c", "3d_fullres", "-f", "0", "-device", "cpu", "--disable_tta", "--disable_progress_bar"]
    command += ["--num_samples", "2", "--save_probabilities", "--save_completed", "--save_uncertainty", *flags]
    environment = {**os.environ, **model.environment(), "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen) -> None:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output.decode()


def files_of(folder) -> dict[str, bytes]:
    """Bytes of all files but the record of times."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in ("run.json", "predict_from_raw_data_args.json")
    }


@pytest.mark.slow
def test_two_parts_at_once_one_of_them_killed(tiny_model, tmp_path):
    for number, name in enumerate(CASES):
        write_case(tmp_path / "images", name, present=(0, 1 + number % 3), seed=number)
    whole = start(tiny_model, tmp_path / "images", tmp_path / "whole", "-npp", 0, "-nps", 0)
    output = tmp_path / "parts"
    parts = [
        start(tiny_model, tmp_path / "images", output, "-num_parts", 2, "-part_id", part, "-npp", 1, "-nps", 1)
        for part in range(2)
    ]
    deadline = time.monotonic() + 200
    while not (output / "a.nii.gz").exists():
        assert parts[0].poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    parts[0].send_signal(signal.SIGKILL)
    parts[0].communicate()
    finish(parts[1])
    flags = ("-num_parts", 2, "-part_id", 0, "--continue_prediction", "-npp", 1, "-nps", 1)
    finish(start(tiny_model, tmp_path / "images", output, *flags))
    finish(whole)
    expected = files_of(tmp_path / "whole")
    assert files_of(output) == expected
    assert all(f"{case}.nii.gz" in expected for case in CASES)
    run = json.loads((output / "run.json").read_text())
    assert sorted(run["cases"]) == sorted(json.loads((output / "modalities.json").read_text())) == list(CASES)
    assert len(run["runs"]) == 1
    with (output / "volumes.csv").open() as stream:
        assert [row["case"] for row in csv.DictReader(stream)] == list(CASES)
