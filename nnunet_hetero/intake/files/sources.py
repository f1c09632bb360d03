"""How an image is named in ``series.csv``: a file; or a folder or zip, ``#``, and a series or a file in there."""

from __future__ import annotations

ZIP = ".zip"


def is_uid(text: str) -> bool:
    """Whether a text may be a SeriesInstanceUID: digits and dots alone."""
    return bool(text) and not text.strip("0123456789.")


def parts_of(source: str) -> tuple[str, str]:
    """A source's place on the disk, and what it names in there; folders and files may have a ``#`` in their names, too.

    Examples:
        >>> parts_of("Case #7/Series #2#1.2.840.7"), parts_of("Case #7.zip#T1 #3.nii.gz"), parts_of("Case #7/t1.nii.gz")
        (('Case #7/Series #2', '1.2.840.7'), ('Case #7.zip', 'T1 #3.nii.gz'), ('Case #7/t1.nii.gz', ''))
    """
    place, joint, uid = source.rpartition("#")
    if joint and is_uid(uid):
        return place, uid
    end = source.lower().find(f"{ZIP}#")
    if end >= 0:
        return source[: end + len(ZIP)], source[end + len(ZIP) + 1 :]
    return source, ""
