"""Versions that fit."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.versions import problem_with, require_supported_nnunet, requirements


def test_requirements_are_those_of_the_package_without_its_extras():
    names = {requirement.name for requirement in requirements()}
    assert {"nnunetv2", "torch", "monai"} <= names and not {"pytest", "ruff"} & names


def test_what_is_wrong_in_words(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "2.9.0")
    assert problem_with(Requirement("nnunetv2>=2.8.1,<2.9")) == ("nnunetv2 is 2.9.0, nnunetv2<2.9,>=2.8.1 is needed")
    assert problem_with(Requirement("nnunetv2>=2.8")) is None
    assert problem_with(Requirement("nnunetv2>=2.9.0")) is None
    with pytest.raises(SettingsError, match=r'nnunetv2 is 2\.9\.0.*Mend it: pip install "nnunetv2'):
        require_supported_nnunet()


def test_not_installed():
    assert (
        problem_with(Requirement("no-such-package>1"))
        == "no-such-package is not installed, no-such-package>1 is needed"
    )


def test_imported_but_not_installed(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    with pytest.raises(SettingsError, match="imported but not installed"):
        requirements()
