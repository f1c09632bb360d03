"""When an image was taken, as far as its header or its place says: images of one case are of one session."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.intake.dicom.scan import headers_of
from nnunet_hetero.intake.dicom.values import text
from nnunet_hetero.intake.series import Series

_BIDS = re.compile(r"(?:^|[/_])ses-([A-Za-z0-9]+)")
_DAY = re.compile(r"(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class Session:
    """When a DICOM series was taken, or another image by its place.

    Args:
        day: StudyDate; or BIDS's session, or the name of a folder that is a date; empty if nothing says it.
        study: StudyInstanceUID; empty for an image of another format.
    """

    day: str
    study: str = ""

    def __str__(self) -> str:
        if not self.study:
            return f"session {self.day}"
        return f"study {self.study} ({self.day or 'without a date'})"

    def is_apart(self, other: Session) -> bool:
        """Whether both are known to be two. Several studies of a day are one; without a date each is by itself."""
        if bool(self.study) != bool(other.study):
            return False
        if self.day and other.day:
            return self.day != other.day
        return self.study != other.study


def sessions_apart(
    series: Sequence[Series], folder: Path
) -> tuple[tuple[Series, Session], tuple[Series, Session]] | None:
    """Two series of different sessions; None if there are none.

    Args:
        series: Of one case.
        folder: The input folder.

    Raises:
        DataError: If a file of a DICOM series cannot be read.
    """
    known = [(row, session) for row in series if (session := session_of(row, folder)) is not None]
    for place, one in enumerate(known):
        for other in known[place + 1 :]:
            if one[1].is_apart(other[1]):
                return one, other
    return None


def session_of(row: Series, folder: Path) -> Session | None:
    """When an image was taken; None if nothing says it.

    Args:
        row: Which.
        folder: The input folder.

    Raises:
        DataError: If a file of a DICOM series cannot be read.
    """
    headers = headers_of(row.place, row.inner, folder)
    if headers:
        found = Session(text(headers[0], "StudyDate"), text(headers[0], "StudyInstanceUID"))
        return found if found.day or found.study else None
    # What the case itself is called says nothing: it is one for all.
    inner = "/".join((row.place.partition("/")[2], row.inner)).strip("/")
    named = _BIDS.search(inner)
    if named:
        return Session(named[1])
    days = [part for part in inner.split("/")[:-1] if _DAY.fullmatch(part)]
    return Session(days[-1].replace("-", "")) if days else None
