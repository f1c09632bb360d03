"""Where the pages to look at cases lie, in the folder of a prediction or an evaluation; `nnunet_hetero.viewer` writes
them.
"""

from __future__ import annotations

import hashlib
import re

VIEW_FOLDER = "view"
INDEX = "index.html"
_LONGEST = 120  # bytes of a file name


def page_name(case: str) -> str:
    """File name of a case's page, for any name that a case may have."""
    plain = re.sub(r'[<>:"|?*\\/\x00-\x1f]', "_", case)
    name = f"{plain}.html"
    if plain == case and len(case.encode()) <= _LONGEST and name.lower() != INDEX:
        return name
    # What had to be changed or cut is told apart by the rest of the name.
    return f"{plain[:60]}-{hashlib.sha256(case.encode()).hexdigest()[:8]}.html"
