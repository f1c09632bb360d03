"""Subcommands that are imported when they are called."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from nnunet_hetero.cli.dispatch import Command, dispatch


@pytest.fixture
def commands(monkeypatch):
    """One command that adds a flag to what it prints, and one that gets its arguments unread."""
    plain, passing = ModuleType("plain_command"), ModuleType("passing_command")
    plain.HELP = "What plain does."
    plain.add_arguments = lambda parser: parser.add_argument("--number", type=int, default=0)
    plain.run = lambda args: args.number
    passing.PASS_THROUGH = True
    passing.run = lambda args: len(args.arguments)
    for module in (plain, passing):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return {
        "plain": Command("plain_command", "adds"),
        "passing": Command("passing_command", "passes"),
        "lazy": Command("no_such_module", "is never imported"),
    }


def call(commands, *arguments, version=None):
    return dispatch("program", "What it is.", commands, arguments, version)


def test_runs_the_one_that_is_named(commands):
    assert call(commands, "plain", "--number", "3") == 3
    assert call(commands, "passing", "--help", "x") == 2


def test_help_lists_all_and_imports_none(commands, capsys):
    assert call(commands) == 2
    printed = capsys.readouterr().out
    assert "  lazy     is never imported" in printed and "What it is." in printed
    with pytest.raises(SystemExit) as end:
        call(commands, "plain", "-h")
    assert end.value.code == 0 and "What plain does." in capsys.readouterr().out


def test_version(commands, capsys):
    with pytest.raises(SystemExit):
        call(commands, "--version", version="program 1.0")
    assert capsys.readouterr().out == "program 1.0\n"


def test_unknown(commands, capsys):
    with pytest.raises(SystemExit) as end:
        call(commands, "none")
    assert end.value.code == 2 and "none" in capsys.readouterr().err
