"""Self-contained HTML pages: table, pictures, and how it was made."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from nnunet_hetero.evaluation.scores.metric_options import DICE
from nnunet_hetero.evaluation.sweep.summary import Summary
from nnunet_hetero.evaluation.sweep.table import table_rows
from nnunet_hetero.io.atomic_files import replace_bytes, replace_text
from nnunet_hetero.version import __version__

ExtraTable = tuple[str, Sequence[Sequence[str]], str]
"""Title, rows (the first is the header), and a note below."""

NamedFigure = tuple[str, str, Figure]
"""File name without ending, caption, picture."""


def write_report(
    path: str | os.PathLike,
    title: str,
    summary: Summary,
    figures: Sequence[tuple[str, Figure]] = (),
    facts: Mapping[str, str] | None = None,
    commands: Sequence[str] = (),
    introduction: str = "",
    tables: Sequence[ExtraTable] = (),
    lists: Sequence[tuple[str, Sequence[str]]] = (),
) -> Path:
    """Write the page of one evaluation; pictures are inside of it, nothing is loaded from elsewhere.

    Args:
        path: File to write.
        title: Heading.
        summary: Of the evaluation.
        figures: Captions and pictures, see `nnunet_hetero.evaluation.report.figures`.
        facts: Versions, plans and the like, by name.
        commands: The commands that led here, one line each.
        introduction: A paragraph below the heading.
        tables: More tables.
        lists: Headings and their points, below the table.

    Returns:
        The file.
    """
    header, *rows = table_rows(summary)
    return write_page(
        path,
        "report.html.j2",
        title,
        headlines=_headlines(summary),
        headline_note="Dice in %, mean over regions and cases.",
        figures=figures,
        facts=facts,
        commands=commands,
        introduction=introduction,
        tables=tables,
        lists=lists,
        header=header,
        number_of_modalities=len(summary.modalities),
        body=[
            {"cells": row, "is_mean": index >= len(summary.subsets), "starts_size": _starts_size(summary, index)}
            for index, row in enumerate(rows)
        ],
        convention=summary.convention,
    )


def write_page(
    path: str | os.PathLike,
    template: str,
    title: str,
    headlines: Sequence[tuple[str, str]] = (),
    headline_note: str = "",
    figures: Sequence[tuple[str, Figure]] = (),
    facts: Mapping[str, str] | None = None,
    commands: Sequence[str] = (),
    introduction: str = "",
    tables: Sequence[ExtraTable] = (),
    lists: Sequence[tuple[str, Sequence[str]]] = (),
    **content: Any,
) -> Path:
    """Write a page from a template that extends ``page.html.j2``.

    Args:
        path: File to write.
        template: Its file name.
        title: Heading.
        headlines: The few numbers to see first: what each is, and its text.
        headline_note: Below them.
        figures: Captions and pictures.
        facts: See `write_report`, as are the next four.
        commands: The same.
        introduction: The same.
        tables: The same.
        lists: The same.
        content: What the template itself needs.

    Returns:
        The file.
    """
    environment = Environment(
        loader=PackageLoader("nnunet_hetero", "evaluation/report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["hyphenated"] = _hyphenated
    page = environment.get_template(template).render(
        title=title,
        headlines=list(headlines),
        headline_note=headline_note,
        introduction=introduction,
        pictures=[_picture(caption, figure) for caption, figure in figures],
        facts=dict(facts or {}),
        commands=list(commands),
        tables=[_table(*table) for table in tables],
        lists=list(lists),
        version=__version__,
        **content,
    )
    path = Path(path)
    replace_text(path, page)
    return path


def write_figures(folder: str | os.PathLike, figures: Sequence[NamedFigure]) -> list[Path]:
    """Write each picture as a PNG file of its own into a folder, which is made if it is not there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png" for name, _, _ in figures]
    for file, (_, _, figure) in zip(files, figures, strict=True):
        replace_bytes(file, _png(figure))
    return files


def _headlines(summary: Summary) -> list[tuple[str, str]]:
    """The few numbers to see first: what they are, and the mean Dice in %."""
    means = {entry.subset: entry.mean for entry in summary.subsets if entry.mean is not None}
    if not means:
        return []
    text = summary.scores[DICE].text
    headlines = []
    for size in (len(summary.modalities), 1):
        of_size = [entry.mean for entry in summary.sizes if entry.n_modalities == size and entry.mean is not None]
        if of_size:
            headlines.append(("all modalities" if size > 1 else "one modality, mean", text(of_size[0])))
    worst = min(means, key=lambda subset: means[subset])
    headlines.append((f"lowest subset ({worst})", text(means[worst])))
    headlines.append((f"mean of {len(means)} subsets", text(summary.overall.mean)))
    return headlines


def _starts_size(summary: Summary, index: int) -> bool:
    """Whether a row of the table begins a new number of modalities, or the means."""
    subsets = summary.subsets
    if index >= len(subsets):
        return index == len(subsets)
    return index > 0 and subsets[index].n_modalities != subsets[index - 1].n_modalities


def _hyphenated(name: str) -> str:
    """A name in CamelCase that may be divided at its capitals, by soft hyphens."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "\u00ad", name)


def _table(title: str, lines: Sequence[Sequence[str]], note: str) -> dict[str, Any]:
    """A table as the template needs it; columns with words are set to the left, those with numbers to the right."""
    header, *rows = lines
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    words = [re.search("[A-Za-z]{2}", " 0 ".join(column)) is not None for column in columns]
    return {"title": title, "header": header, "rows": rows, "note": note, "words": [True, *words[1:]]}


def _picture(caption: str, figure: Figure) -> dict[str, Any]:
    """A picture as the template needs it; the width in CSS pixels keeps the letters of all pictures at one size."""
    png = base64.b64encode(_png(figure)).decode("ascii")
    return {"caption": caption, "png": png, "width": round(96 * figure.get_figwidth())}


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=144)
    return stream.getvalue()
