"""What is said where the extra is not installed."""

from __future__ import annotations

import sys

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.intake.dicom.extra import require


@pytest.mark.parametrize("module", ["pydicom", "dcm2niix", "highdicom.seg"])
def test_the_command_to_install_it(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0]
    with pytest.raises(SettingsError, match=rf"needs {package} .*pip install 'nnunet-hetero\[dicom\]'"):
        require(module, "Reading DICOM")


def test_it_is_imported():
    assert require("pydicom", "Reading DICOM") is sys.modules["pydicom"]
