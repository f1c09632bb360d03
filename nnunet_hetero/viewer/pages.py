"""Pages of many cases and the list of them, in a folder."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from tqdm import tqdm

from nnunet_hetero.errors import HeteroError
from nnunet_hetero.inference.output.page_names import INDEX, page_name
from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.viewer.layers import CaseView
from nnunet_hetero.viewer.page import index_page, write_case_page
from nnunet_hetero.viewer.slices import thumbnail

_ROW = re.compile(r'<tr data-row="(?P<row>[^"]*)"><td><a [^>]*><img src="(?P<thumbnail>[^"]*)"')
"""A case in the list, as its template writes it."""


class CaseSource(Protocol):
    """Where cases are: `CaseFolder` or `EvaluationFolder`."""

    def view(self, case: str) -> CaseView:
        """What is known of a case."""

    def numbers_of(self, case: str) -> dict[str, float]:
        """What the list of cases can be sorted by."""


def write_pages(
    source: CaseSource, cases: Sequence[str], folder: Path, full: bool = False, progress: bool = True
) -> dict[str, str]:
    """Write ``CASE.html`` for each case, and ``index.html``; cases that the list had before stay in it.

    A case that has no page now has none of before either.

    Args:
        source: Where the cases are.
        cases: Their names.
        folder: Where the pages go.
        full: See `nnunet_hetero.viewer.page.case_page`.
        progress: Whether to show a progress bar.

    Returns:
        Why a case has no page, by case.
    """
    rows = {row["case"]: row for row in _rows_before(folder, cases)}
    failed: dict[str, str] = {}
    for case in tqdm(cases, "Pages", disable=not progress):
        try:
            view = source.view(case)
            numbers = source.numbers_of(case)
            write_case_page(view, folder / page_name(case), full)
        except HeteroError as error:
            failed[case] = str(error)
            (folder / page_name(case)).unlink(missing_ok=True)
            continue
        rows[case] = {"case": case, "numbers": numbers, "thumbnail": thumbnail(view.cropped(view.box()))}
    if rows:
        listed = [{**rows[case], "page": quote(page_name(case))} for case in sorted(rows)]
        replace_text(folder / INDEX, index_page(listed))
    else:
        (folder / INDEX).unlink(missing_ok=True)
    return failed


def _rows_before(folder: Path, but: Collection[str]) -> list[dict]:
    """The rows of the list as it is, of other cases whose pages are there."""
    try:
        text = (folder / INDEX).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    rows = []
    for found in _ROW.finditer(text):
        try:
            row = json.loads(html.unescape(found["row"]))
            rows.append({"case": row["case"], "numbers": row["numbers"], "thumbnail": found["thumbnail"]})
        except (ValueError, KeyError, TypeError):  # not ours
            continue
    return [row for row in rows if row["case"] not in but and (folder / page_name(row["case"])).is_file()]
