"""The command line: what it says, what it returns, and that it answers at once."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from nnunet_hetero.cli import main as main_module
from nnunet_hetero.cli.data.convert import CONVERTERS
from nnunet_hetero.cli.dispatch import Command
from nnunet_hetero.cli.main import COMMANDS, main
from nnunet_hetero.errors import DataError
from nnunet_hetero.version import __version__


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed and command.summary in printed for name, command in COMMANDS.items())


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"nnunet_hetero {__version__}\n"


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "nnunet_hetero", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"nnunet_hetero {__version__}\n")


def test_no_command_and_unknown_command(capsys):
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["predcit"])
    assert end.value.code == 2
    assert "'predcit'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS.values(), *CONVERTERS.values()], ids=[*COMMANDS, *CONVERTERS])
def test_every_command_keeps_the_protocol(command):
    module = importlib.import_module(command.module)
    assert callable(module.run)
    assert getattr(module, "PASS_THROUGH", False) or callable(module.add_arguments)


def test_errors_of_the_user_have_no_traceback(monkeypatch, capsys):
    module = importlib.import_module("nnunet_hetero.cli.setup.env")

    def fail(args):
        raise DataError("Case 'A' is broken.")

    monkeypatch.setattr(module, "run", fail)
    assert main(["env"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "error: Case 'A' is broken.\n" and captured.out == ""


def test_defects_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(main_module, "COMMANDS", {"gone": Command("nnunet_hetero.cli.gone", "not there")})
    with pytest.raises(ModuleNotFoundError):
        main(["gone"])


def test_light_commands_import_nothing_heavy():
    script = (
        "import sys\n"
        "from nnunet_hetero.cli.main import main\n"
        "for arguments in (['--help'], ['env'], ['env', '--help'], ['convert', '--help'], ['activate', '--help']):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit:\n"
        "        pass\n"
        "heavy = [name for name in ('torch', 'numpy', 'nnunetv2', 'SimpleITK') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
