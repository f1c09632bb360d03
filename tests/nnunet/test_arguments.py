"""Values of flags."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest
import torch

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.arguments import fold, number_between, seed, step_size, usable_device, whole_number


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (whole_number(), "0", 0),
        (whole_number(-2), "-2", -2),
        (whole_number(1, 3), "3", 3),
        (number_between(0), "1e3", 1000),
        (number_between(0, 1, from_limit=True), "0", 0),
        (step_size, "1", 1),
        (seed, "4294967295", 2**32 - 1),
        (fold, "all", "all"),
        (fold, "03", "3"),
    ],
)
def test_possible_values(parse, text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (whole_number(), "-1", "'-1' is no whole number, 0 or more"),
        (whole_number(1, 3), "4", "from 1 to 3"),
        *((whole_number(), text, "no whole number") for text in ("", "x", "1.5", "1_0", "²", "٣", "--1", " 1")),
        (number_between(0), "0", "no number above 0"),
        (number_between(0, 1), "1.1", "no number above 0 up to 1"),
        (number_between(0, 1, from_limit=True), "-0.1", "no number from 0 up to 1"),
        *((number_between(0), text, "no number") for text in ("nan", "inf", "x", "")),
        (seed, "4294967296", "from 0 to 4294967295"),
        *((fold, text, "no fold") for text in ("abc", "-1", "0.5", "ALL", "")),
    ],
)
def test_impossible_values(parse, text, words):
    with pytest.raises(ArgumentTypeError, match=words):
        parse(text)


class TestDevice:
    def test_cpu(self):
        assert usable_device("cpu") == torch.device("cpu")

    @pytest.mark.parametrize("name", ["foo", "cuda:x", "", "meta", "cpu:a"])
    def test_no_device(self, name):
        with pytest.raises(SettingsError, match=f"-device {name}: .* Choose cuda, cpu, mps"):
            usable_device(name)

    def test_no_driver(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        for name in ("cuda", "cuda:7"):
            with pytest.raises(SettingsError, match=r"no CUDA device that torch can use.*-device cpu"):
                usable_device(name)

    def test_too_few(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert usable_device("cuda:1").index == 1
        with pytest.raises(SettingsError, match=r"there are 2 CUDA device\(s\), counted from 0"):
            usable_device("cuda:7")

    def test_no_apple(self, monkeypatch):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(SettingsError, match="no Apple GPU"):
            usable_device("mps")
