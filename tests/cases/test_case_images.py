"""The images of a case, and the same case with fewer of them."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.cases.case_images import NO_FILE, SWITCHED_OFF, CaseImages
from nnunet_hetero.cases.image_values import CONSTANT
from nnunet_hetero.modalities import Modalities


def test_fewer_images():
    images = CaseImages(
        "a",
        Modalities(("T1", "T2", "FLAIR")),
        np.stack([np.full((2, 2, 2), channel, np.float32) for channel in (1, 0, 3)]),
        ({"spacing": 1}, None, {"spacing": 3}),
        {1: NO_FILE},
    )
    assert images.used == (0, 2)
    assert images.without([], CONSTANT) is images
    assert images.restricted_to((0, 2)) is images
    fewer = images.restricted_to((1, 2))
    assert (fewer.used, fewer.absent) == ((2,), {0: SWITCHED_OFF, 1: NO_FILE})
    assert fewer.properties == (None, None, {"spacing": 3})
    assert not fewer.data[0].any()
    assert images.data[0].all()
    assert images.without([2], CONSTANT).absent == {1: NO_FILE, 2: CONSTANT}
