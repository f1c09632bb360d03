"""``make bench``: every benchmark runs, and one missed limit is its exit code."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import counted
import prediction
import pytest
import sweep
import torch
from helpers.tiny_network import masks, random_images, tiny_network

from nnunet_hetero.inference.engine.network_steps import fused_for_each, latents

ROOT = Path(__file__).parents[2]
SOUND = {"peak ratio": 1.2, "moved ratio": 1.4, "estimate off": -0.1, "tile ratio": 1.1}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(("fails", "said"), [("", ""), ("step.py", "step.py"), ("py", "counted.py step.py")])
def test_all_are_run_and_a_miss_is_the_exit_code(tmp_path, fails, said):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    condition = f'case "$1" in *{fails}) exit 1;; esac' if fails else ""
    python.write_text(f"#!/bin/sh\necho ran $1\n{condition}\n")
    python.chmod(0o755)
    (tmp_path / ".ready").touch()
    done = subprocess.run(["make", "bench", f"VENV={tmp_path}"], cwd=ROOT, capture_output=True, text=True)
    ran = [line.split("/")[-1] for line in done.stdout.splitlines() if line.startswith("ran")]
    assert ran == ["counted.py", "step.py", "prediction.py", "sweep.py"]
    assert (done.returncode != 0) == bool(fails)
    assert not fails or f"Limits missed or no result: {said}" in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("peak ratio", 1.3, "peak 1.30 of nnU-Net's, limit 1.25"),
        ("moved ratio", 1.6, "bytes moved 1.60"),
        ("estimate off", 0.2, "estimate +20%"),
        ("tile ratio", 1.6, "prediction of a tile 1.60"),
    ],
)
def test_each_count_has_its_limit(name, value, said):
    assert not counted.missed("plain", 4, SOUND)
    (line,) = counted.missed("plain", 4, {**SOUND, name: value})
    assert said in line


def test_each_ratio_has_its_limit():
    ratios = {"a": {"ratio": 1.1, "limit": 1.0}, "b": {"wall": 2.0, "cpu": 1.0, "limit": 1.5}}
    assert prediction.missed_limits(ratios, "cpu") == ["a: 1.10, limit 1"]
    assert len(prediction.missed_limits(ratios, "wall")) == 2
    assert sweep.missed({"commands": 0.5, "computation": 0.5}) == []
    (command,) = sweep.missed({"commands": 0.51, "computation": 0.5})
    assert command == "commands: the sweep takes 0.51 of separate predictions, limit 0.5"
    assert len(sweep.missed({"commands": 0.51, "computation": 0.51})) == 2


def test_floor_of_the_sweep_is_that_of_its_parts():
    """Four modalities: 4 encoders instead of 32, and 15 decoders on either side."""
    assert sweep.Parts(encoding=4 * 1.0, decoding=15 * 3.0).floor(4) == pytest.approx((4 + 45) / (32 + 45))
    parts, network = sweep.Parts(), tiny_network()
    with parts.measured(), torch.no_grad():
        first, _ = fused_for_each(network, random_images(1), list(masks((0, 1), (2,))))
        fused = parts.decoding
        network.decode(latents(first, 0, None))
    assert parts.encoding > 0 and parts.decoding > fused > 0
