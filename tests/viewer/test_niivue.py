"""The script of the viewer is where a library keeps it; this says when a release of the library moves it."""

from __future__ import annotations

from importlib import resources

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.viewer import niivue


def test_nilearn_still_ships_it():
    text = niivue.script()
    assert len(text) < 3_000_000
    for name in ("loadFromBase64", "attachToCanvas", "setSliceType", "setRadiologicalConvention", "mm2frac"):
        assert name in text


def test_its_licence_goes_along():
    assert "BSD 2-Clause" in niivue.licence() and "Copyright (c) 2021" in niivue.licence()


@pytest.mark.parametrize("error", [ModuleNotFoundError, FileNotFoundError])
def test_without_it_the_extra_is_named(monkeypatch, error):
    niivue.packed_script.cache_clear()

    def fail(*_):
        raise error("not there")

    monkeypatch.setattr(resources, "files", fail)
    with pytest.raises(SettingsError, match=r"pip install 'nnunet-hetero\[viewer\]'"):
        niivue.script()
