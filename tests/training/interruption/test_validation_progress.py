"""What a validation has predicted before it was interrupted stays, and nothing else."""

from __future__ import annotations

import json
import os
import time

import pytest
import torch
from torch import nn

from nnunet_hetero.training.interruption.validation_progress import BEFORE, RECORD_NAME, ValidationProgress, hash_of

CASES = ["a", "b", "c"]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def progress(folder, seed: int = 0, endings=(".nii.gz",)) -> ValidationProgress:
    return ValidationProgress(folder / "validation", network(seed), endings)


def predict(folder, *names: str, seconds: float = 1.0) -> None:
    """Write files, by a clock that is so much ahead."""
    (folder / "validation").mkdir(exist_ok=True)
    for name in names:
        file = folder / "validation" / name
        file.write_bytes(b"content")
        os.utime(file, ns=(0, time.time_ns() + int(seconds * 1e9)))


def test_cases_that_are_done_stay(tmp_path):
    assert progress(tmp_path).begin(CASES) == set()
    predict(tmp_path, "a.nii.gz", "c.nii.gz")
    assert progress(tmp_path).begin(CASES) == {"a", "c"}


def test_all_files_of_a_case_count(tmp_path):
    endings = (".nii.gz", ".npz")
    progress(tmp_path, endings=endings).begin(CASES)
    predict(tmp_path, "a.nii.gz", "a.npz", "b.nii.gz")
    assert progress(tmp_path, endings=endings).begin(CASES) == {"a"}


@pytest.mark.parametrize("clock", [-3600, 0, 3600])
@pytest.mark.parametrize("clock_before", [-3600, 0, 3600])
def test_what_was_there_before_is_predicted_anew_whatever_the_clocks_say(tmp_path, clock_before, clock):
    predict(tmp_path, "a.nii.gz", "b.nii.gz", seconds=clock_before)
    progress(tmp_path).begin(CASES)
    assert progress(tmp_path).begin(CASES) == set()
    predict(tmp_path, "b.nii.gz", "c.nii.gz", seconds=clock)
    assert progress(tmp_path).begin(CASES) == {"b", "c"}


@pytest.mark.parametrize(
    "what",
    [
        "other weights",
        "other files",
        "it came to its end",
        "the record is damaged",
        "the record says nothing of before",
    ],
)
def test_nothing_stays(tmp_path, what):
    first = progress(tmp_path)
    first.begin(CASES)
    predict(tmp_path, "a.nii.gz", "a.npz")
    if what == "it came to its end":
        first.end()
    if what == "the record is damaged":
        (tmp_path / "validation" / RECORD_NAME).write_text("{")
    if what == "the record says nothing of before":
        file = tmp_path / "validation" / RECORD_NAME
        file.write_text(
            json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != BEFORE})
        )
    again = progress(
        tmp_path,
        seed=1 if what == "other weights" else 0,
        endings=(".nii.gz", ".npz") if what == "other files" else (".nii.gz",),
    )
    assert again.begin(CASES) == set()


def test_hash():
    assert hash_of(network()) == hash_of(network()) != hash_of(network(1))
    other = network()
    other[1].num_batches_tracked += 1
    assert hash_of(other) != hash_of(network())
    assert hash_of(network().half()) != hash_of(network().bfloat16())
