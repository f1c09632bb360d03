"""The page of a case: one file that opens from the disk, without a network and without a server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import cycle
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.io.places import require_replaceable
from nnunet_hetero.viewer.layers import COLOURS, CaseView, embedded
from nnunet_hetero.viewer.niivue import licence, packed_script
from nnunet_hetero.viewer.slices import slices, start_voxel

FROM_EVERYTHING = "what was given"


def case_page(view: CaseView, full: bool = False) -> str:
    """The page as text.

    Args:
        view: What it shows.
        full: Whether images keep their size and all their digits; otherwise they are cropped and in few steps.

    Raises:
        SettingsError: If NiiVue is not there, see `nnunet_hetero.viewer.niivue`.
    """
    box = tuple(slice(0, size) for size in view.prediction.data.shape) if full else view.box()
    shown = view.cropped(box)
    data = {
        "layers": embedded(shown, full),
        "regions": [{"name": name, "colour": ink} for name, ink in zip(view.regions, cycle(COLOURS), strict=False)],
        "subsets": [FROM_EVERYTHING, *view.subsets],
        "start": (shown.prediction.affine @ [*start_voxel(shown), 1])[:3].tolist(),
        "toVoxel": np.linalg.inv(shown.prediction.affine).tolist(),
        "size": list(shown.prediction.data.shape),
        "offset": [limits.start for limits in box],
        "flat": shown.prediction.data.shape[2] == 1,
    }
    return (
        _environment()
        .get_template("case.html.j2")
        .render(
            view=view,
            pictures=slices(shown),
            data=_in_script(data),
            licence=Markup(licence()),
            niivue=Markup(packed_script()),
            layers_script=Markup(_text("layers.js")),
            script=Markup(_text("case.js")),
            style=Markup(_text("case.css")),
        )
    )


def write_case_page(view: CaseView, file: str | os.PathLike, full: bool = False) -> Path:
    """Write the page of a case, as a whole; see `case_page`.

    Raises:
        SettingsError: If the file is there and is no page.
    """
    file = Path(file)
    require_replaceable(file, _is_page, "a page (HTML)")
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, case_page(view, full))
    return file


def _is_page(file: Path) -> bool:
    beginning = b"<!doctype html>"
    with file.open("rb") as stream:
        return stream.read(len(beginning)).lower() == beginning


def index_page(rows: Iterable[dict]) -> str:
    """The list of cases, which sorts by a click on a column.

    Args:
        rows: One per case: ``case``, ``page`` (address), ``thumbnail`` (address), and ``numbers`` by column.
    """
    rows = list(rows)
    columns: dict[str, None] = {}
    for row in rows:
        columns |= dict.fromkeys(row["numbers"])
    style, sorting = Markup(_text("case.css")), Markup(_text("index.js"))
    template = _environment().get_template("index.html.j2")
    return template.render(rows=rows, columns=list(columns), style=style, script=sorting)


def _in_script(data: dict) -> Markup:
    """JSON that cannot end the script in which it stands."""
    text = json.dumps(data, ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


@cache
def _environment() -> Environment:
    loader = PackageLoader("nnunet_hetero", "viewer/templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["json"] = json.dumps
    return made


@cache
def _text(name: str) -> str:
    return resources.files("nnunet_hetero.viewer").joinpath(f"templates/{name}").read_text(encoding="utf-8")
