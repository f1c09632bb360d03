"""Commands that are imported only when they are called, so that help and light commands answer at once."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.extensions import load_extension, named


@dataclass(frozen=True)
class Command:
    """One subcommand.

    The module offers ``HELP`` (what the command does, shown by ``-h``), ``add_arguments(parser)`` and
    ``run(args) -> int`` (the exit code). A command that hands its arguments on unread sets ``PASS_THROUGH = True``
    instead of offering ``add_arguments``; its ``run`` finds them in ``args.arguments``.

    Args:
        module: Import path of the module.
        summary: One line for the list of commands. It stands here so that the list needs no import.
        extension: Where another package names the module; None for one of ours.
    """

    module: str
    summary: str
    extension: EntryPoint | None = None

    def load(self) -> Any:
        """The module.

        Raises:
            SettingsError: If it is another package's and cannot be imported, or does not offer what it must.
        """
        if self.extension is None:
            return importlib.import_module(self.module)
        module = load_extension(self.extension)
        wanted = ("run",) if getattr(module, "PASS_THROUGH", False) else ("add_arguments", "run")
        for name in wanted:
            if not callable(getattr(module, name, None)):
                raise SettingsError(
                    f"{named(self.extension)} names {self.module}, which has no function '{name}'. It must be a module "
                    "with add_arguments(parser) and run(args)."
                )
        return module


def dispatch(
    prog: str, description: str, commands: Mapping[str, Command], argv: Sequence[str], version: str | None = None
) -> int:
    """Find the subcommand in ``argv``, import its module, run it.

    Args:
        prog: How the user called us, for usage lines.
        description: What stands above the list of commands.
        commands: The subcommands by name.
        argv: The arguments after ``prog``.
        version: Text of ``--version``; None leaves the flag out.

    Returns:
        The command's exit code.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [-h] {'[--version] ' if version else ''}COMMAND ...",
        description=f"{description}\n\ncommands:\n{_table(commands)}",
        epilog=f"'{prog} COMMAND -h' explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if version:
        parser.add_argument("--version", action="version", version=version)
    parser.add_argument("command", choices=list(commands), metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    if not argv:
        parser.print_help()
        return 2
    chosen = parser.parse_args(argv)

    command = commands[chosen.command]
    module = command.load()
    if getattr(module, "PASS_THROUGH", False):
        return module.run(chosen)
    command_parser = argparse.ArgumentParser(
        prog=f"{prog} {chosen.command}",
        description=getattr(module, "HELP", command.summary),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(command_parser)
    return module.run(command_parser.parse_args(chosen.arguments))


def _table(commands: Mapping[str, Command]) -> str:
    width = max(map(len, commands))
    return "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in commands.items())
