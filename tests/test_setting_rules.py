"""What values keep a rule, and how the rule is worded."""

from __future__ import annotations

import math

import pytest

from nnunet_hetero import setting_rules as rules

CASES = [
    (rules.number_above(0), "a number above 0", [1, 0.5], [0, -1, True, "1", None, math.inf, math.nan]),
    (rules.number_from(1), "a number, 1 or more", [1, 1.5], [0.5, False, math.inf]),
    (rules.whole_from(1), "a whole number, 1 or more", [1, 250.0], [0, 1.5, True, "1"]),
    (rules.SEED, "a whole number, 0 or more", [0, 7], [-1, 1.0, True]),
    (rules.SWITCH, "true or false", [True, False], [0, 1, None]),
    (rules.one_of("a", "b"), "one of a, b", ["a"], ["c", None, ["a"]]),
    (rules.NULL | rules.exactly("plan"), 'null, or "plan"', [None, "plan"], ["plans", 0]),
    (rules.list_of(rules.STRICTLY_WHOLE, "sizes"), "a list of sizes", [[1], [2, 3]], [[], [0], [1.0], 3, (1,)]),
    (rules.NAMES, 'names joined with "+"', ["T1+T2"], ["", None]),
    (rules.TABLE, "a table of names and numbers", [{}, {"T1": 1}], [["T1"], "T1"]),
    (rules.named("a", group="nobody"), "one of a, or a name of another package (nobody)", ["a"], ["b", None]),
]


@pytest.mark.parametrize(("rule", "expected", "good", "bad"), CASES, ids=[case[1] for case in CASES])
def test_rule(rule, expected, good, bad):
    assert rule.expected == expected
    assert [value for value in good if not rule.holds(value)] == []
    assert [value for value in bad if rule.holds(value)] == []
