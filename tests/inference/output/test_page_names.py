"""Names of pages, for any name that a case may have."""

from __future__ import annotations

import pytest

from nnunet_hetero.inference.output.page_names import INDEX, page_name


@pytest.mark.parametrize("case", ["BraTS_001", "Müller, Ä.", "a.b-c"])
def test_plain_names_stay(case):
    assert page_name(case) == f"{case}.html"


@pytest.mark.parametrize("case", ["<script>", 'a"b', "x" * 200, "a/b", "é" * 100])
def test_other_names_are_made_plain_and_stay_apart(case):
    name = page_name(case)
    assert not set(name) & set('<>:"/\\|?*') and len(name.encode()) < 160
    assert name != page_name(case + "!")


@pytest.mark.parametrize("case", ["index", "Index"])
def test_a_case_does_not_take_the_place_of_the_list(case):
    assert page_name(case).lower() != INDEX
