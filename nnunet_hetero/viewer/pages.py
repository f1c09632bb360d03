"""Pages of many cases and the list of them, in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from tqdm import tqdm

from nnunet_hetero.errors import HeteroError
from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.viewer.layers import CaseView
from nnunet_hetero.viewer.page import index_page, write_case_page
from nnunet_hetero.viewer.slices import thumbnail

INDEX = "index.html"
_LONGEST = 120  # characters of a file name


class CaseSource(Protocol):
    """Where cases are: `CaseFolder` or `EvaluationFolder`."""

    def view(self, case: str) -> CaseView:
        """What is known of a case."""

    def numbers_of(self, case: str) -> dict[str, float]:
        """What the list of cases can be sorted by."""


def write_pages(
    source: CaseSource, cases: Sequence[str], folder: Path, full: bool = False, progress: bool = True
) -> dict[str, str]:
    """Write ``CASE.html`` for each case, and ``index.html``.

    Args:
        source: Where the cases are.
        cases: Their names.
        folder: Where the pages go.
        full: See `nnunet_hetero.viewer.page.case_page`.
        progress: Whether to show a progress bar.

    Returns:
        Why a case has no page, by case.
    """
    rows, failed = [], {}
    for case in tqdm(cases, "Pages", disable=not progress):
        try:
            view = source.view(case)
            name = page_name(case)
            write_case_page(view, folder / name, full)
        except HeteroError as error:
            failed[case] = str(error)
            continue
        shown = view.cropped(view.box())
        rows.append(
            {"case": case, "page": quote(name), "thumbnail": thumbnail(shown), "numbers": source.numbers_of(case)}
        )
    if rows:
        replace_text(folder / INDEX, index_page(rows))
    return failed


def page_name(case: str) -> str:
    """File name of a case's page, for any name that a case may have."""
    plain = re.sub(r'[<>:"|?*\\/\x00-\x1f]', "_", case)
    if plain == case and len(case.encode()) <= _LONGEST:
        return f"{case}.html"
    # What had to be changed or cut is told apart by the rest of the name.
    return f"{plain[:60]}-{hashlib.sha256(case.encode()).hexdigest()[:8]}.html"
