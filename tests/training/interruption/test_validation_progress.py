"""What a validation has predicted before it was interrupted stays, and nothing else."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from nnunet_hetero.training.interruption.validation_progress import RECORD_NAME, ValidationProgress, hash_of

CASES = ["a", "b", "c"]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def progress(folder, seed: int = 0, endings=(".nii.gz",)) -> ValidationProgress:
    return ValidationProgress(folder / "validation", network(seed), endings)


def predict(folder, *names: str, seconds: float = 1.0) -> None:
    """Write files, so long after the record."""
    begun = (folder / "validation" / RECORD_NAME).stat().st_mtime_ns
    for name in names:
        file = folder / "validation" / name
        file.write_bytes(b"content")
        os.utime(file, ns=(begun, begun + int(seconds * 1e9)))


def test_cases_that_are_done_stay(tmp_path):
    assert progress(tmp_path).begin(CASES) == set()
    predict(tmp_path, "a.nii.gz", "c.nii.gz")
    assert progress(tmp_path).begin(CASES) == {"a", "c"}


def test_all_files_of_a_case_count(tmp_path):
    endings = (".nii.gz", ".npz")
    progress(tmp_path, endings=endings).begin(CASES)
    predict(tmp_path, "a.nii.gz", "a.npz", "b.nii.gz")
    assert progress(tmp_path, endings=endings).begin(CASES) == {"a"}


def test_what_was_there_before_is_predicted_anew(tmp_path):
    progress(tmp_path).begin(CASES)
    predict(tmp_path, "a.nii.gz", seconds=-60)
    assert progress(tmp_path).begin(CASES) == set()


@pytest.mark.parametrize("what", ["other weights", "other files", "it came to its end", "the record is damaged"])
def test_nothing_stays(tmp_path, what):
    first = progress(tmp_path)
    first.begin(CASES)
    predict(tmp_path, "a.nii.gz", "a.npz")
    if what == "it came to its end":
        first.end()
    if what == "the record is damaged":
        (tmp_path / "validation" / RECORD_NAME).write_text("{")
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
