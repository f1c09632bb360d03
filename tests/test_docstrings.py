"""The examples in docstrings run, and say what they print."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
from helpers.project.house import read_modules
from helpers.tiny_model import read_array

WITH_EXAMPLES = sorted(name for name, module in read_modules().items() if ">>>" in module.file.read_text("utf-8"))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.fixture
def names(nnunet_folders, tmp_path):
    """What examples may take for granted: a trained model, two images of a case, an empty folder."""
    t1c, flair = (read_array(nnunet_folders.images / f"case_00_000{channel}.nii.gz") for channel in (1, 3))
    model = {"model_folder": nnunet_folders.folder, "t1c": t1c, "flair": flair, "image": flair}
    return {**model, "folder": tmp_path, "np": np}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name, names):
    found = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS, extraglobs=names)
    assert found.attempted and not found.failed


def test_a_wrong_example_is_found():
    def wrong():
        """
        >>> 1 + 1
        3
        """

    (example,) = doctest.DocTestFinder().find(wrong, "wrong", globs={})
    assert doctest.DocTestRunner().run(example, out=lambda text: None).failed == 1
