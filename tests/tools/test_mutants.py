"""The mutation check fits the code: a fault that cannot be put in any more would be missed without a word."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def faults() -> tuple:
    specification = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.MUTANTS


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_every_fault_is_one_place_of_the_code_with_tests_to_find_it(fault):
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.before) == 1
    assert fault.after != fault.before
    for test in fault.tests:
        assert (ROOT / test.partition("::")[0]).exists()
