"""Errors with a message meant for the user; commands print them without a traceback and exit with 1."""

from __future__ import annotations

import errno


class HeteroError(Exception):
    """Base of all errors that the user can mend.

    Anything else that is raised is a defect of the package and keeps its traceback.
    """


class DataError(HeteroError):
    """Images, labels or dataset folders are not what they must be; names the case and the file."""


class SettingsError(HeteroError):
    """A flag, a setting in the plans or an environment variable is not what it must be."""


def the_case(name: str) -> str:
    """What a message calls a case; from Python it may have no name.

    Examples:
        >>> the_case("BRATS_012"), the_case("")
        ("Case 'BRATS_012'", 'The case')
    """
    return f"Case '{name}'" if name else "The case"


def naming_the_case(name: str, reason: str) -> str:
    """Why a case failed, in words that name it; a disk that is full knows no cases.

    Examples:
        >>> naming_the_case("a", "out/a.nii.gz: No space left on device.")
        "Case 'a': out/a.nii.gz: No space left on device."
        >>> naming_the_case("a", "Case 'a' has no image.")
        "Case 'a' has no image."
    """
    return reason if the_case(name) in reason else f"{the_case(name)}: {reason}"


_REMEDIES = {
    (errno.ENOSPC, errno.EDQUOT, errno.EIO): "Make room or choose another place, then run the same command again.",
    (errno.EACCES, errno.EPERM, errno.EROFS): "Ask for the right to use it, or choose another place.",
    (errno.ENOTDIR, errno.EISDIR, errno.EEXIST): "A file is where a folder is needed, or a folder where a file is.",
    (errno.ELOOP, errno.ENAMETOOLONG): "Choose another path.",
}


def os_error_in_words(error: OSError) -> str:
    """What a disk or another part of the system refused, with its path, and what to do.

    Examples:
        >>> os_error_in_words(OSError(errno.ENOSPC, "No space left on device", "out/a.nii.gz"))
        'out/a.nii.gz: No space left on device. Make room or choose another place, then run the same command again.'
    """
    places = [str(place) for place in (error.filename, error.filename2) if place is not None]
    text = f"{' and '.join(places)}: {error.strerror}." if places and error.strerror else f"{error}."
    remedy = next((words for numbers, words in _REMEDIES.items() if error.errno in numbers), "")
    return f"{text} {remedy}".rstrip()
