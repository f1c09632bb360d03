"""nnU-Net's variables."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.folders import NUMBERS, problem_with_folder, require_numbers, require_variables


class TestFolders:
    def test_right_ones(self, tmp_path):
        assert problem_with_folder(str(tmp_path)) is None
        assert problem_with_folder(str(tmp_path / "not yet there")) is None

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("~/x", "write the whole path"),
            ('"{}"', "quotation marks"),
            ("'{}'", "quotation marks"),
            ("{} ", "blanks at its ends"),
            (" {}", "blanks at its ends"),
            ("{}\r", "blanks at its ends"),
            ("some/where", "another folder in every working directory"),
            ("$HOME/x", "no shell has replaced"),
            ("{}/file", "is no folder"),
            ("{}/loop", "is no folder"),
        ],
    )
    def test_wrong_ones_are_refused(self, value, words, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        value = value.format(tmp_path)
        assert words in problem_with_folder(value)
        monkeypatch.setenv("nnUNet_raw", value)
        with pytest.raises(SettingsError, match="The environment variable nnUNet_raw is '"):
            require_variables("nnUNet_raw")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["abc", "", "-1", "1.5"])
def test_numbers_that_are_none(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} is '{value}'; it must be a whole number"):
        require_numbers()


def test_numbers(monkeypatch):
    for name in NUMBERS:
        monkeypatch.setenv(name, "3")
    require_numbers()
