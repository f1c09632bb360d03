"""Names that are one where upper and lower case are not told apart."""

from __future__ import annotations

from collections.abc import Iterable

WHERE_ONE = "on Windows, macOS and many network drives their files would be the same"


def spelled_otherwise(names: Iterable[str]) -> dict[str, str]:
    """The names of which another differs in upper and lower case alone, each with such another.

    Example:
        >>> sorted(spelled_otherwise(["P1", "p2", "p1", "P1"]).items())
        [('P1', 'p1'), ('p1', 'P1')]
    """
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(name.casefold(), []).append(name)
    others: dict[str, str] = {}
    for first, *rest in alike.values():
        others.update(dict.fromkeys(rest, first))
        if rest:
            others[first] = rest[0]
    return others
