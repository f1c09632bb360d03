"""Activation in folders of the test's own; tests/test_install.py does it in real environments."""

from __future__ import annotations

import os
import pkgutil
import stat
import sys
import sysconfig

import pytest

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.integration import activation, startup
from nnunet_hetero.nnunet.environment import EXT_TRAINER, trainer_folder


@pytest.fixture
def start_up(monkeypatch):
    """An interpreter that was not started with us, as far as start-up code can tell."""
    monkeypatch.delenv(EXT_TRAINER, raising=False)
    monkeypatch.setattr(
        sys, "meta_path", [finder for finder in sys.meta_path if type(finder).__module__ != startup.__name__]
    )
    yield
    os.environ.pop(EXT_TRAINER, None)


def test_one_file_before_python_3_15(tmp_path, monkeypatch):
    monkeypatch.setattr(activation.startup_files, "__defaults__", ((3, 14),))
    assert [path.name for path in activation.activate(tmp_path)] == ["nnunet_hetero_activation.pth"]
    assert activation.activate(tmp_path) == []
    assert os.listdir(tmp_path) == ["nnunet_hetero_activation.pth"]


def test_start_file_of_python_3_15(tmp_path, monkeypatch, start_up):
    """PEP 829: one ``module:function`` a line, comments aside, resolved by pkgutil and called without arguments."""
    monkeypatch.setattr(activation.startup_files, "__defaults__", ((3, 15),))
    assert {path.suffix for path in activation.activate(tmp_path)} == {".pth", ".start", ".py"}
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = (tmp_path / "nnunet_hetero_activation.start").read_text().splitlines()
    (entry_point,) = [line for line in lines if not line.startswith("#")]
    function = pkgutil.resolve_name(entry_point)
    function()
    assert os.environ[EXT_TRAINER] == trainer_folder()
    # The package is gone, the start-up files are not.
    os.environ.pop(EXT_TRAINER)
    monkeypatch.setitem(sys.modules, "nnunet_hetero.integration.startup", None)
    function()
    assert EXT_TRAINER not in os.environ

    compiled = tmp_path / "__pycache__" / f"{activation.GUARD}.cpython-315.pyc"
    compiled.parent.mkdir(exist_ok=True)
    compiled.touch()
    activation.deactivate(tmp_path)
    assert os.listdir(tmp_path) == []


def test_an_older_activation_is_replaced(tmp_path):
    (tmp_path / "nnunet_hetero_activation.pth").write_text("import something_of_an_older_version\n")
    assert activation.activate(tmp_path)
    assert "older" not in (tmp_path / "nnunet_hetero_activation.pth").read_text()


def test_starting_twice_is_starting_once(start_up):
    startup.start()
    finders, value = list(sys.meta_path), os.environ[EXT_TRAINER]
    startup.start()
    assert sys.meta_path == finders and os.environ[EXT_TRAINER] == value


def test_read_only_site_packages_is_refused(tmp_path, monkeypatch):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # root may write all the same, so the answer of the system is set here.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(SettingsError, match=r"cannot be written to.*virtual environment.*nnunet_hetero env"):
        activation.activate(tmp_path)
    tmp_path.chmod(stat.S_IRWXU)
    assert os.listdir(tmp_path) == []


def test_read_only_site_packages_is_refused_on_deactivation(tmp_path, monkeypatch):
    activation.activate(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SettingsError, match="owner"):
        activation.deactivate(tmp_path)


def test_environment_of_the_operating_system_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    paths = {"stdlib": str(tmp_path), "purelib": str(tmp_path)}
    monkeypatch.setattr(sysconfig, "get_path", paths.__getitem__)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert main(["activate"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "operating system" in error and "nnunet_hetero env" in error
    # The same interpreter below a virtual environment is fine.
    monkeypatch.setattr(sys, "prefix", "/somewhere/else")
    assert main(["activate"]) == 0
    assert main(["deactivate"]) == 0
    assert os.listdir(tmp_path) == ["EXTERNALLY-MANAGED"]


def test_the_guard_is_there_before_anything_names_it(tmp_path, monkeypatch):
    """Another interpreter may start between two writes."""
    written = []
    replace_text = activation.replace_text

    def noted(path, text):
        written.append(path.name)
        for other in tmp_path.glob("*"):
            assert not other.name.endswith((".pth", ".start")) or (tmp_path / f"{activation.GUARD}.py").exists()
        replace_text(path, text)

    monkeypatch.setattr(activation, "replace_text", noted)
    monkeypatch.setattr(activation.startup_files, "__defaults__", ((3, 15),))
    activation.activate(tmp_path)
    assert written[0] == f"{activation.GUARD}.py" and len(written) > 1
