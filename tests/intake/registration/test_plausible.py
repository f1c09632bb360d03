"""Which registrations are believed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import SimpleITK as sitk

from nnunet_hetero.intake.registration.plausible import confirms_headers, doubtful, gains, implausible
from nnunet_hetero.intake.registration.register import Registration

GOOD = Registration(sitk.Euler3DTransform(), 0.4, 0.9, 12.0, 8.0, 0.98, 0.2, 0.3)


def test_a_good_one():
    assert implausible(GOOD) is None and gains(GOOD) and not confirms_headers(GOOD)


def test_headers_that_were_right():
    right = replace(GOOD, before=0.9, after=0.91, shift=0.3, degrees=0.4)
    assert implausible(right) is None and not gains(right) and confirms_headers(right)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"overlap": 0.3}, "only 30% of the smaller image's tissue overlaps"),
        ({"before": 0.01, "after": 0.05}, "mutual information is 0.050 nats"),
        ({"disagreement": 4.2}, "4.2 mm apart"),
        ({"degrees": 90.0}, "turned by 90 degrees"),
        ({"shift": 200.0}, "shifted by 200 mm"),
        ({"before": 0.9}, "without fitting better"),
    ],
)
def test_what_is_refused(change, words):
    assert words in implausible(replace(GOOD, **change))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"disagreement": 1.2}, "place it 1.2 mm apart"), ({"inside": 2.1}, "by the inside of the head alone"), ({}, "")],
)
def test_what_is_believed_with_a_doubt(change, words):
    found = replace(GOOD, **change)
    assert implausible(found) is None
    assert words in doubtful(found) and bool(doubtful(found)) is bool(words)
