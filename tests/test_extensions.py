"""Entry points of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from nnunet_hetero import extensions as module
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.extensions import extensions, load_extension

GROUP = "nnunet_hetero.tests"


@pytest.fixture
def offered(monkeypatch):
    """Sets what other packages offer."""

    def set_offered(*pairs: tuple[str, str]) -> None:
        entries = [EntryPoint(name, value, GROUP) for name, value in pairs]
        monkeypatch.setattr(module, "entry_points", lambda group: entries if group == GROUP else [])

    return set_offered


class TestExtensions:
    def test_by_name_whatever_the_order_of_installation(self, offered):
        offered(("b", "math:pi"), ("a", "math:e"))
        assert [(entry.name, load_extension(entry)) for entry in extensions(GROUP)] == [
            ("a", 2.718281828459045),
            ("b", 3.141592653589793),
        ]
        assert list(extensions("nnunet_hetero.other")) == []

    def test_one_package_found_twice_is_one(self, offered):
        offered(("a", "math:e"), ("a", "math:e"))
        assert len(list(extensions(GROUP))) == 1

    def test_two_packages_with_one_name(self, offered):
        offered(("a", "math:e"), ("a", "math:pi"))
        with pytest.raises(SettingsError, match=r"Two packages offer 'a' as nnunet_hetero.tests: a package"):
            list(extensions(GROUP))

    @pytest.mark.parametrize("value", ["no_such_module:x", "math:no_such_name"])
    def test_what_cannot_be_loaded_is_named(self, offered, value):
        offered(("a", value))
        (entry,) = extensions(GROUP)
        with pytest.raises(SettingsError, match=rf"'a' of .*cannot be loaded from {value}: \w+Error: .*no_such"):
            load_extension(entry)
