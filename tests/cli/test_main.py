"""The command line: what it says, what it returns, and that it answers at once."""

from __future__ import annotations

import importlib
import os
import signal
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


STOPPED = """
import importlib, signal, sys, time
from nnunet_hetero.cli import main
name = sys.argv[1]
module = importlib.import_module(main.COMMANDS[name].module)
module.PASS_THROUGH = True
module.run = lambda _: print("ready", flush=True) or time.sleep(600)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main.main())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows")
@pytest.mark.parametrize(
    ("command", "number", "said"),
    [
        ("calibrate", "SIGTERM", "SIGTERM. {} The same command does the rest."),
        ("calibrate", "SIGINT", "Ctrl-C. {} The same command does the rest."),
        ("intake", "SIGUSR1", "SIGUSR1. {} The same command does the rest."),
        ("complete", "SIGTERM", "SIGTERM. {} The same command with --continue_prediction does the rest."),
        ("train", "SIGTERM", "SIGTERM. {} The same command with --auto-continue goes on from the last checkpoint."),
        ("demo", "SIGINT", "Ctrl-C. {} The same command begins anew."),
        (
            "splits",
            "SIGTERM",
            "SIGTERM. {} The same command with --undo takes back what it did; then it can begin anew.",
        ),
        ("doctor", "SIGTERM", "SIGTERM. {}"),
    ],
)
def test_a_command_that_is_stopped_says_how_to_go_on(command, number, said):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    number = signal.Signals[number]
    with subprocess.Popen([sys.executable, "-c", STOPPED, command], **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, number)
        _, error = process.communicate(timeout=60)
    whole = "What was finished is there as a whole, nothing is half written."
    assert (process.returncode, error.strip()) == (128 + number, f"Stopped by {said.format(whole)}")


def test_every_command_that_takes_long_has_a_word_for_who_stops_it():
    assert COMMANDS.keys() - main_module.HOW_TO_GO_ON.keys() == {"activate", "deactivate", "doctor", "env"}
    assert main_module.HOW_TO_GO_ON.keys() <= COMMANDS.keys()
