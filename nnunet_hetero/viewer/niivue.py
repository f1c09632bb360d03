"""NiiVue, the viewer of images that runs in a page, as the package nilearn ships it (BSD licence)."""

from __future__ import annotations

import base64
import gzip
from functools import cache
from importlib import resources

from nnunet_hetero.errors import SettingsError

PLACE = "_assets/js/niivue.umd.js"
"""In the package nilearn. It is private there: a test says when it moves."""


def licence() -> str:
    """Its licence, which goes along with the script."""
    return resources.files("nnunet_hetero.viewer").joinpath("templates/niivue_licence.txt").read_text(encoding="utf-8")


@cache
def packed_script() -> str:
    """The script, packed by gzip and in base64: less than half of its size.

    Raises:
        SettingsError: See `script`.
    """
    return base64.b64encode(gzip.compress(script().encode("utf-8"), 9, mtime=0)).decode("ascii")


def script() -> str:
    """The script as text.

    Raises:
        SettingsError: If nilearn is not installed, or ships no such file any more.
    """
    try:
        folder = resources.files("nilearn")
        return folder.joinpath(PLACE).read_text(encoding="utf-8")
    except ModuleNotFoundError as error:
        raise SettingsError("Pages of cases need nilearn. Install it: pip install 'nnunet-hetero[viewer]'.") from error
    except OSError as error:
        raise SettingsError(
            f"This version of nilearn has no {PLACE}. Install one that fits: pip install 'nnunet-hetero[viewer]'."
        ) from error
