"""What other people's code adds to ours by name: entry points of their packages, or a call in a script.

Ours stand in the same table. A name is looked up when it is asked for, so that nothing is imported for a name that
nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.extensions import extensions, load_extension, origin

Thing = TypeVar("Thing")

_IN_THIS_PROCESS: dict[str, dict[str, object]] = {}


def offered_names(group: str) -> list[str]:
    """Names that are not ours: of entry points, and of what this process has registered.

    Args:
        group: Of entry points.
    """
    return [*(entry.name for entry in extensions(group)), *_IN_THIS_PROCESS.get(group, {})]


class Registry(Generic[Thing]):
    """Things of one kind, by name.

    Args:
        group: Of entry points in other packages.
        what: What such a thing is called in errors, e.g. ``fusion``.
        ours: Where each of ours is, as ``module:attribute``.
        is_right: Whether something is such a thing.
        expected: What it must be, for errors.
        own_name: The name that a thing has by itself, which must be the one that it goes by; None if it has none.
    """

    def __init__(
        self,
        group: str,
        what: str,
        ours: Mapping[str, str],
        is_right: Callable[[object], bool],
        expected: str,
        own_name: Callable[[Thing], str] | None = None,
    ):
        self.group = group
        self.what = what
        self.ours = dict(ours)
        self.is_right = is_right
        self.expected = expected
        self.own_name = own_name

    def register(self, name: str, thing: Thing) -> Thing:
        """Make a thing known in this process.

        Returns:
            The thing.

        Raises:
            SettingsError: If it is none, or its name is taken.
        """
        self._right(thing, name, f"The {self.what} '{name}'")
        known = _IN_THIS_PROCESS.setdefault(self.group, {})
        if name in self.names() and known.get(name) is not thing:
            raise SettingsError(f"There is a {self.what} '{name}' already. Give yours another name.")
        known[name] = thing
        return thing

    def names(self) -> list[str]:
        """All names, ours first.

        Raises:
            SettingsError: If another package takes one of ours.
        """
        others = offered_names(self.group)
        taken = sorted(set(self.ours).intersection(others))
        if taken:
            raise SettingsError(
                f"Another package offers a {self.what} '{taken[0]}' ({self.group}), which is the name of one of ours. "
                "It must take another name; until then uninstall that package."
            )
        return list(dict.fromkeys([*self.ours, *others]))

    def __contains__(self, name: object) -> bool:
        return name in self.ours or name in self.names()

    def get(self, name: str) -> Thing:
        """The thing of a name.

        Raises:
            SettingsError: If there is none, or it is not what it must be.
        """
        if name in self.ours:
            module, attribute = self.ours[name].split(":")
            return getattr(import_module(module), attribute)
        in_process = _IN_THIS_PROCESS.get(self.group, {})
        if name in in_process:
            return self._right(in_process[name], name, f"The {self.what} '{name}'")
        for entry in extensions(self.group):
            if entry.name == name:
                return self._right(load_extension(entry), name, f"'{name}' of {origin(entry)} ({self.group})")
        raise SettingsError(
            f"There is no {self.what} '{name}'. Known are {', '.join(self.names())}. One of another package is known "
            f"while that is installed (its entry points are in the group {self.group})."
        )

    def _right(self, thing: object, name: str, where: str) -> Thing:
        if not self.is_right(thing):
            raise SettingsError(f"{where} is {thing!r}; it must be {self.expected}.")
        right = cast(Thing, thing)
        if self.own_name is not None and self.own_name(right) != name:
            raise SettingsError(f"{where} calls itself '{self.own_name(right)}'. It must go by that name.")
        return right
