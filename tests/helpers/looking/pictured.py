"""What pictures are drawn from: modalities, regions, and the texts of a figure."""

from __future__ import annotations

from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(("T1", "T1c", "FLAIR"))
REGIONS = {"whole tumor": (1, 2), "tumor core": 2}


def texts(figure) -> list[str]:
    """All that is written in a figure."""
    return [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes.yaxis.label)]
