"""Cases in nnU-Net's earlier format, unpacked whole."""

from __future__ import annotations

import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetNumpy

from nnunet_hetero.errors import DataError
from nnunet_hetero.training.data.inputs import InputRules, PreparedDatasets
from nnunet_hetero.training.data.unpacking import unpack

ARRAYS = {"data": np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4), "seg": np.ones((1, 2, 3, 4), np.int8)}


@pytest.fixture
def folder(tmp_path):
    """Two cases as nnU-Net's earlier preprocessing left them."""
    for name in "ab":
        np.savez_compressed(tmp_path / f"{name}.npz", **ARRAYS)
    return tmp_path


def require_unpacked(folder) -> None:
    for name in "ab":
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy", mmap_mode="r"), ARRAYS["data"])
        np.testing.assert_array_equal(np.load(folder / f"{name}_seg.npy", mmap_mode="r"), ARRAYS["seg"])
    assert len(list(folder.iterdir())) == 6


def test_a_training_unpacks(folder):
    PreparedDatasets(nnUNetDatasetNumpy, InputRules({}, ())).unpack_dataset(
        str(folder), overwrite_existing=False, num_processes=0, verify=True
    )
    require_unpacked(folder)
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    unpack(folder, 4)  # starts no process for nothing
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times


@pytest.mark.parametrize("left", ["a.npy", "b_seg.npy"])
@pytest.mark.parametrize("size", [0, 7, 100, 140])
def test_what_a_killed_process_left_is_done_again(folder, left, size):
    unpack(folder, 0)
    whole = (folder / left).read_bytes()
    (folder / left).write_bytes(whole[:size])
    unpack(folder, 0)
    require_unpacked(folder)


def test_a_damaged_case_is_named(folder):
    (folder / "b.npz").write_bytes((folder / "b.npz").read_bytes()[:60])
    with pytest.raises(DataError, match=r"b\.npz cannot be unpacked: .*nnUNetv2_preprocess"):
        unpack(folder, 0)
    assert not list(folder.glob("b*.npy"))


def test_a_full_disk_leaves_nothing_half(folder, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nnunet_hetero.io.atomic_files.os.fsync", full)
    with pytest.raises(DataError, match=r"a\.npz cannot be unpacked: .*No space left"):
        unpack(folder, 0)
    assert sorted(file.name for file in folder.iterdir()) == ["a.npz", "b.npz"]
