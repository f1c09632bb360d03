"""Things by name: ours, registered ones, and those of other packages."""

from __future__ import annotations

import pytest
from helpers.project.entry_points import installed_package

from nnunet_hetero import registry
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.registry import Registry, offered_names

GROUP = "nnunet_hetero.test_functions"


@pytest.fixture
def functions(monkeypatch) -> Registry:
    monkeypatch.setattr(registry, "_IN_THIS_PROCESS", {})
    return Registry(GROUP, "function", {"sum": "builtins:sum"}, callable, "a function")


@pytest.fixture
def package(tmp_path, monkeypatch):
    def install(**entries: str) -> None:
        source = "def double(x):\n    return 2 * x\n\n\nNUMBER = 3\n"
        installed_package(tmp_path, monkeypatch, "somebodys", source, {GROUP: entries})

    return install


def test_ours(functions):
    assert functions.names() == ["sum"] and "sum" in functions and functions.get("sum") is sum


def test_registered(functions):
    assert functions.register("largest", max) is max
    assert functions.names() == ["sum", "largest"] and functions.get("largest") is max
    assert functions.register("largest", max) is max  # a notebook's cell may run again
    with pytest.raises(SettingsError, match=r"There is a function 'largest' already"):
        functions.register("largest", min)
    with pytest.raises(SettingsError, match=r"There is a function 'sum' already"):
        functions.register("sum", min)
    with pytest.raises(SettingsError, match=r"The function 'three' is 3; it must be a function"):
        functions.register("three", 3)


def test_of_an_installed_package(functions, package):
    package(double="somebodys:double")
    assert functions.names() == ["sum", "double"] and functions.get("double")(4) == 8
    assert offered_names(GROUP) == ["double"]


def test_unknown(functions):
    with pytest.raises(SettingsError, match=rf"no function 'mean'\. Known are sum\..*{GROUP}"):
        functions.get("mean")


def test_nothing_is_imported_for_a_name_that_nobody_asks_for(functions, package):
    package(broken="somebodys_other_module:f")
    assert "broken" in functions.names() and functions.get("sum") is sum
    with pytest.raises(SettingsError, match=r"'broken' of the package somebodys .* cannot be loaded"):
        functions.get("broken")


def test_not_what_it_must_be(functions, package):
    package(number="somebodys:NUMBER")
    with pytest.raises(SettingsError, match=r"'number' of the package somebodys .* is 3; it must be a function"):
        functions.get("number")


def test_a_thing_that_has_a_name_goes_by_it(monkeypatch):
    monkeypatch.setattr(registry, "_IN_THIS_PROCESS", {})
    functions = Registry(GROUP, "function", {}, callable, "a function", lambda function: function.__name__)
    assert functions.register("max", max) is max
    with pytest.raises(SettingsError, match=r"'smallest' calls itself 'min'"):
        functions.register("smallest", min)


def test_nobody_takes_a_name_of_ours(functions, package):
    package(sum="somebodys:double")
    assert functions.get("sum") is sum
    with pytest.raises(SettingsError, match=r"Another package offers a function 'sum'"):
        functions.names()
