"""A calibrated model that a test may change, and which of its cases are measured again."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from nnunet_hetero.calibration import collect


@pytest.fixture
def copied(calibrated_model, tmp_path):
    """A calibrated model that a test may change."""
    folder = tmp_path / calibrated_model.folder.name
    shutil.copytree(calibrated_model.folder, folder)
    return replace(calibrated_model, folder=folder)


@pytest.fixture
def measured(monkeypatch):
    """Names of the cases that are measured."""
    found = []
    measure = collect.measure_case
    monkeypatch.setattr(collect, "measure_case", lambda *args: found.append(args[1].case.name) or measure(*args))
    return found
