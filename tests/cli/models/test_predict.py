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

from nnunet_hetero.cli.main import main

CASES = ("a", "b", "c", "d")


def arguments(images, output, *flags) -> list[str]:
    model = ("-d", "501", "-c", "3d_fullres", "-f", "0", "-device", "cpu", "--disable_tta", "--disable_progress_bar")
    outputs = ("--num_samples", 2, "--save_probabilities", "--save_completed", "--save_uncertainty")
    return [str(word) for word in ("predict", "-i", images, "-o", output, *model, *outputs, *flags)]


def start(*words) -> subprocess.Popen:
    command = [sys.executable, "-W", "ignore", "-m", "nnunet_hetero.cli.main", *arguments(*words)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


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
def test_two_parts_at_once_one_of_them_killed(nnunet_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nnunet_hetero"])
    for number, name in enumerate(CASES):
        write_case(tmp_path / "images", name, present=(0, 1 + number % 3), seed=number)
    output, background = tmp_path / "parts", ("-npp", 0, "-nps", 1)
    parts = [start(tmp_path / "images", output, "-num_parts", 2, "-part_id", part, *background) for part in range(2)]
    deadline = time.monotonic() + 200
    while not (output / "a.nii.gz").exists():
        # On a busy machine it may write the case and end between the two looks.
        assert parts[0].poll() in (None, 0) and time.monotonic() < deadline
        time.sleep(0.02)
    parts[0].send_signal(signal.SIGKILL)
    parts[0].communicate()
    finish(parts[1])
    flags = ("-num_parts", 2, "-part_id", 0, "--continue_prediction", *background)
    finish(start(tmp_path / "images", output, *flags))
    assert main(arguments(tmp_path / "images", tmp_path / "whole", "-npp", 0, "-nps", 0)) == 0
    expected = files_of(tmp_path / "whole")
    assert files_of(output) == expected
    assert all(f"{case}.nii.gz" in expected for case in CASES)
    run = json.loads((output / "run.json").read_text())
    assert sorted(run["cases"]) == sorted(json.loads((output / "modalities.json").read_text())) == list(CASES)
    assert len(run["runs"]) == 1
    with (output / "volumes.csv").open() as stream:
        assert [row["case"] for row in csv.DictReader(stream)] == list(CASES)
