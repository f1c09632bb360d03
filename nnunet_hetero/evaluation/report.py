"""One self-contained HTML page of an evaluation: table, pictures, and how it was made."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from nnunet_hetero import __version__
from nnunet_hetero.evaluation.table import table_rows


def write_report(
    path: str | os.PathLike,
    title: str,
    summary: Mapping[str, Any],
    figures: Sequence[tuple[str, Figure]] = (),
    facts: Mapping[str, str] | None = None,
    commands: Sequence[str] = (),
    introduction: str = "",
    tables: Sequence[tuple[str, Sequence[Sequence[str]], str]] = (),
) -> Path:
    """Write the page; pictures are inside of it, nothing is loaded from elsewhere.

    Args:
        path: File to write.
        title: Heading.
        summary: From `nnunet_hetero.evaluation.table.summarise`.
        figures: Captions and pictures, see `nnunet_hetero.evaluation.figures`.
        facts: Versions, plans and the like, by name.
        commands: The commands that led here, one line each.
        introduction: A paragraph below the heading.
        tables: More tables: title, rows (the first is the header), and a note below.

    Returns:
        The file.
    """
    environment = Environment(
        loader=PackageLoader("nnunet_hetero", "evaluation/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    header, *rows = table_rows(dict(summary))
    number_of_subsets = len(summary["subsets"])
    page = environment.get_template("report.html.j2").render(
        title=title,
        introduction=introduction,
        headlines=_headlines(summary),
        header=header,
        number_of_modalities=len(summary["modalities"]),
        body=[
            {"cells": row, "is_mean": index >= number_of_subsets, "starts_size": _starts_size(summary, index)}
            for index, row in enumerate(rows)
        ],
        convention=summary["convention"],
        pictures=[(caption, _png(figure)) for caption, figure in figures],
        facts=dict(facts or {}),
        commands=list(commands),
        tables=[{"title": name, "header": lines[0], "rows": lines[1:], "note": note} for name, lines, note in tables],
        version=__version__,
    )
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def _headlines(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The few numbers to see first: what they are, and the mean Dice in %."""
    ranked = [entry for entry in summary["subsets"] if entry["mean"] is not None]
    if not ranked:
        return []
    headlines = []
    for size in (len(summary["modalities"]), 1):
        of_size = [entry for entry in summary["sizes"] if entry["n_modalities"] == size and entry["mean"] is not None]
        if of_size:
            text = "all modalities" if size > 1 else "one modality, mean"
            headlines.append((text, f"{100 * of_size[0]['mean']:.1f}"))
    worst = min(ranked, key=lambda entry: entry["mean"])
    headlines.append((f"lowest subset ({worst['subset']})", f"{100 * worst['mean']:.1f}"))
    headlines.append((f"mean of {len(ranked)} subsets", f"{100 * summary['mean']['mean']:.1f}"))
    return headlines


def _starts_size(summary: Mapping[str, Any], index: int) -> bool:
    """Whether a row of the table begins a new number of modalities, or the means."""
    subsets = summary["subsets"]
    if index >= len(subsets):
        return index == len(subsets)
    return index > 0 and subsets[index]["n_modalities"] != subsets[index - 1]["n_modalities"]


def _png(figure: Figure) -> str:
    """A picture as base64 text."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=144)
    return base64.b64encode(stream.getvalue()).decode("ascii")
