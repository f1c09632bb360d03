"""Pickles beside preprocessed cases: those of nnU-Net pass, those that run code do not."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.pickles import require_plain_pickle

OF_A_CASE = {
    "sitk_stuff": {"spacing": (1.0, 1.0, 2.0), "direction": (1.0,) * 9},
    "nibabel_stuff": {"original_affine": np.eye(4)},
    "spacing": [1.0, np.float64(2.0), np.float32(3)],
    "shape_before_cropping": (np.int64(3), 4, 5),
    "bbox_used_for_cropping": [[0, 3], [0, 4]],
    "class_locations": OrderedDict({1: np.arange(12).reshape(3, 4), (1, 2): []}),
    "fortran": np.asfortranarray(np.ones((2, 3), np.uint8)),
    "bytes": b"abc",
}


class RunsCode:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def write(content, file, protocol=None):
    file.write_bytes(pickle.dumps(content, protocol))
    return file


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_those_of_nnunet(tmp_path, protocol):
    require_plain_pickle(write(OF_A_CASE, tmp_path / "a.pkl", protocol))


def test_nothing_there(tmp_path):
    require_plain_pickle(tmp_path / "nowhere.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_does_not_run(tmp_path, protocol):
    file = write({**OF_A_CASE, "more": RunsCode(tmp_path / "trap")}, tmp_path / "a.pkl", protocol)
    with pytest.raises(SettingsError, match=r"a\.pkl wants to load .*--trust_checkpoint"):
        require_plain_pickle(file)
    assert not (tmp_path / "trap").exists()
    require_plain_pickle(file, trusted=True)


def test_code_within_an_array_is_refused(tmp_path):
    inside = np.empty(1, object)
    inside[0] = RunsCode(tmp_path / "trap")
    with pytest.raises(SettingsError, match="wants to load"):
        require_plain_pickle(write({"a": inside}, tmp_path / "a.pkl"))
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("content", [b"", b"abc", pickle.dumps(OF_A_CASE)[:-20], b"\x80\x04."])
def test_damaged(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(SettingsError, match=r"a\.pkl"):
        require_plain_pickle(tmp_path / "a.pkl")
