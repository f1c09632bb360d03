"""Kind 1: absence inferred from names, or decided after the image has acted."""

from __future__ import annotations

from helpers.tiny_model import write_case
from public_reports.situation import Place, Situation


def _no_image_left(place: Place) -> int:
    write_case(place.images, "a", present=(1,))
    return place.predict("--missing", "t1c")


SITUATIONS = [
    Situation("1", "the only image is switched off", _no_image_left, says=("no modality left", "switched off")),
]
