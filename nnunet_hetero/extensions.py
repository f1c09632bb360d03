"""What other installed packages add: their entry points in our groups, each loaded when it is first asked for.

An entry point is a line in the other package's metadata, for example in its ``pyproject.toml``::

    [project.entry-points."nnunet_hetero.metrics"]
    my_metric = "my_package.my_module:MY_METRIC"
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from nnunet_hetero.errors import SettingsError


def extensions(group: str) -> Iterator[EntryPoint]:
    """The entry points of a group, by name.

    Raises:
        SettingsError: If two packages use one name.
    """
    seen: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        if entry.name in seen:
            if entry.value == seen[entry.name].value:
                continue  # an installation that lies on the path twice
            raise SettingsError(
                f"Two packages offer '{entry.name}' as {group}: {origin(seen[entry.name])} and {origin(entry)}. "
                "Uninstall one of them."
            )
        seen[entry.name] = entry
        yield entry


def load_extension(entry: EntryPoint) -> object:
    """What an entry point names.

    Raises:
        SettingsError: If it cannot be imported; says of which package it is.
    """
    try:
        return entry.load()
    except Exception as error:
        raise SettingsError(
            f"{named(entry)} cannot be loaded from {entry.value}: "
            f"{type(error).__name__}: {error}. Mend or uninstall that package."
        ) from error


def named(entry: EntryPoint) -> str:
    """An entry point in an error's text."""
    return f"'{entry.name}' of {origin(entry)} ({entry.group})"


def origin(entry: EntryPoint) -> str:
    """Name of the package that an entry point belongs to."""
    return f"the package {entry.dist.name}" if entry.dist else "a package without metadata"
