"""``nnunet_hetero env``: the export line of nnU-Net's variable for external trainers."""

from __future__ import annotations

import argparse
import os
import shlex

from nnunet_hetero.nnunet.environment import EXT_TRAINER, ext_trainer_value

HELP = """\
Print the line that sets nnU-Net's official variable nnUNet_extTrainer for a shell, what it holds already kept.
That is enough for nnUNetv2_train and for loading our models; the flags of nnUNetv2_predict need 'activate'.

  bash, zsh:   eval "$(nnunet_hetero env)"
  fish:        nnunet_hetero env --shell fish | source
  PowerShell:  nnunet_hetero env --shell powershell | Invoke-Expression"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--shell", choices=sorted(_LINES), default="bash", help="whose syntax to print (default: bash)")


def run(args: argparse.Namespace) -> int:
    """Print the line."""
    print(_LINES[args.shell](ext_trainer_value(os.environ.get(EXT_TRAINER))))
    return 0


def _bash(value: str) -> str:
    return f"export {EXT_TRAINER}={shlex.quote(value)}"


def _fish(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {EXT_TRAINER} '{escaped}'"


def _powershell(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$env:{EXT_TRAINER} = '{escaped}'"


_LINES = {"bash": _bash, "fish": _fish, "powershell": _powershell}
