"""The public names of the package: there, typed, and imported when they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import nnunet_hetero


def test_every_name_is_there():
    for name in nnunet_hetero.__all__:
        found = getattr(nnunet_hetero, name)
        assert name == "__version__" or (found.__name__ == name and inspect.getdoc(found))
    assert set(nnunet_hetero.__all__) <= set(dir(nnunet_hetero))


def test_no_other_name():
    with pytest.raises(AttributeError, match="has no attribute 'evaluate'"):
        _ = nnunet_hetero.evaluate


def test_importing_the_package_imports_nothing_large():
    program = "import sys, nnunet_hetero; print(sorted({'torch', 'numpy', 'nnunetv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    program = "from nnunet_hetero import HeteroModalConfig; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
