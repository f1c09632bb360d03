"""What the demo's user may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_hetero.demo.settings import DemoSettings
from nnunet_hetero.errors import SettingsError


@pytest.mark.parametrize(("name", "least"), [("epochs", 1), ("cases", 5), ("size", 24)])
def test_smallest_numbers(name, least):
    assert getattr(DemoSettings(Path("out"), **{name: least}), name) == least
    with pytest.raises(SettingsError, match=f"--{name} is {least - 1}; it must be at least {least}:"):
        DemoSettings(Path("out"), **{name: least - 1})
