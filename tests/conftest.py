"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import sys

# Before torch is imported. Tiny networks gain nothing from threads, and on a busy machine lose a factor of ten.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # of nnU-Net's commands, which take all cores whatever is said
os.environ.setdefault("nnUNet_def_n_proc", "2")

import pytest

from nnunet_hetero.nnunet.environment import EXT_TRAINER, ext_trainer_value


def pytest_collection_modifyitems(items):
    """Files with slow tests first: one of them at the end would keep a single process busy, and the others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def trainer_folder():
    """nnU-Net finds our trainers in every test, whether or not the environment is activated."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(EXT_TRAINER, ext_trainer_value(os.environ.get(EXT_TRAINER)))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_core():
    """nnU-Net's commands take one thread, where they run in the process of a test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("multiprocessing.cpu_count", lambda: 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_lookup_of_trainers():
    """nnU-Net looks for a trainer whenever a model is loaded, and twice at every loaded module meanwhile: thousands.

    Where a module lies is found out once here. The lookup itself, with the modules that it drops, stays as it is.
    """
    from nnunetv2.utilities import find_class_by_name

    lies_in = find_class_by_name._module_originates_from_path
    known: dict[tuple[str, str], bool] = {}

    def quick(module, path: str) -> bool:
        file = getattr(module, "__file__", None)
        if file is None:
            return lies_in(module, path)
        if (file, path) not in known:
            known[file, path] = lies_in(module, path)
        return known[file, path]

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(find_class_by_name, "_module_originates_from_path", quick)
        yield


@pytest.fixture(autouse=True)
def one_thread():
    """nnU-Net's commands take all cores, for the whole process; a fork of it after that would hang in torch."""
    if "torch" in sys.modules and sys.modules["torch"].get_num_threads() != 1:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A model folder with folds 0 and 1 of random weights, and a dataset of six cases; see `helpers.tiny_model`.

    Shared by all tests: do not change its files, copy the folder first.
    """
    from helpers.tiny_model import write_tiny_model

    cases = [f"case_{number:02d}" for number in range(6)]
    return write_tiny_model(tmp_path_factory.mktemp("tiny"), folds=(0, 1), cases=cases)


@pytest.fixture
def nnunet_folders(tiny_model, monkeypatch):
    """The tiny model, with nnU-Net's variables pointing at its folders."""
    for name, value in tiny_model.environment().items():
        monkeypatch.setenv(name, value)
    return tiny_model


@pytest.fixture(scope="session")
def calibrated_model(tiny_model, tmp_path_factory):
    """The tiny model with a calibration of both folds; see `helpers.calibrated`. Copy it to change it."""
    from helpers.calibrated import copy_and_calibrate

    with pytest.MonkeyPatch.context() as monkeypatch:
        return copy_and_calibrate(tiny_model, tmp_path_factory.mktemp("calibrated"), monkeypatch)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory):
    """See `helpers.tiny_dataset`. Shared by all tests: do not change its files."""
    from helpers.tiny_dataset import write_tiny_dataset

    with pytest.MonkeyPatch.context() as monkeypatch:
        return write_tiny_dataset(tmp_path_factory.mktemp("dataset"), monkeypatch)
