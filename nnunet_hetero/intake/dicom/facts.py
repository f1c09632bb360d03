"""From the headers of a series to what a proposal needs to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnunet_hetero.intake.dicom.slices import slices_of
from nnunet_hetero.intake.dicom.values import number, numbers, text, values
from nnunet_hetero.intake.proposal.sequences import SeriesFacts

SAME_DIRECTION = 1e-2
"""Directions that differ by less, in each cosine, are one orientation."""

_ENHANCED_SEQUENCES = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
"""EchoPulseSequence of enhanced objects → ScanningSequence of others."""


def facts_of(files: Sequence[tuple[str, Any]], folder: str) -> SeriesFacts:
    """What the headers of a series say.

    Args:
        files: Name and header of each file; what all should share is taken from the first.
        folder: Name of the folder that they lie in.
    """
    slices = slices_of(files)
    headers = [one.header for one in slices] or [header for _, header in files]
    first = headers[0]
    return SeriesFacts(
        modality=text(first, "Modality").upper(),
        images=len(headers),
        orientations=_orientations(headers),
        description=text(first, "SeriesDescription"),
        protocol=text(first, "ProtocolName"),
        folder=folder,
        image_type=tuple(value.upper() for value in values(first, "ImageType")),
        scanning_sequence=_scanning_sequence(first),
        echo_time=number(first, "EchoTime"),
        repetition_time=number(first, "RepetitionTime"),
        inversion_time=number(first, "InversionTime"),
        b_value=max((number(header, "DiffusionBValue") or 0.0 for header in headers), default=None),
        agent=text(first, "ContrastBolusAgent") or _coded_agent(first),
        body_part=text(first, "BodyPartExamined"),
    )


def _scanning_sequence(header: Any) -> tuple[str, ...]:
    plain = tuple(value.upper() for value in values(header, "ScanningSequence"))
    enhanced = _ENHANCED_SEQUENCES.get(text(header, "EchoPulseSequence").upper(), ())
    return (*plain, *enhanced, *(("EP",) if text(header, "EchoPlanarPulseSequence").upper() == "YES" else ()))


def _coded_agent(header: Any) -> str:
    agents = header.get("ContrastBolusAgentSequence") or ()
    return ", ".join(text(agent, "CodeMeaning") or "of an unknown name" for agent in agents)


def _orientations(headers: Sequence[Any]) -> int:
    found: list[np.ndarray] = []
    for header in headers:
        cosines = numbers(header, "ImageOrientationPatient", 6)
        if cosines is not None and not any(np.abs(cosines - other).max() < SAME_DIRECTION for other in found):
            found.append(cosines)
    return max(1, len(found))
