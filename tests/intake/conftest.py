"""A DICOM study that several tests read."""

from __future__ import annotations

import pytest
from helpers.dicom_study import write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """An input folder with one case, ``Fall 1``: T1c, T2 and FLAIR, a localizer, a map. Copy it to change it."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder / "Fall 1")
    return folder
