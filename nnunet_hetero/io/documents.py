"""JSON and CSV files that others may have touched: one way to read them, with a schema, and errors in words.

A `Document` or a `CsvDocument` stands beside its users and says what a file must be and what to do if it is not. The
schema is a type, most often a ``TypedDict``, and pydantic compares the content with it. Files of others are refused; of
our own, those that only help are put aside and made anew (`Document.or_aside`).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from nnunet_hetero.errors import DataError, HeteroError
from nnunet_hetero.io.atomic_files import locked, replace_json

LARGEST = 1 << 28
"""Bytes. No file of nnU-Net's or of ours comes near."""

NUMBER_OR_BLANK = Annotated[float, BeforeValidator(lambda cell: cell or "nan")]
"""Type of a column of a `CsvDocument`: a number, NaN for an empty cell."""

ASIDE = ".damaged"
"""Ending of a file that was put aside."""

_SHOWN = 60  # characters of a wrong value

Made = TypeVar("Made")

_JSON_WORDS = {
    "a valid dictionary": "an object",
    "a valid list": "a list",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid boolean": "true or false",
    "None": "null",
    "String should have at least 1 character": "a text that is not empty",
    "greater than or equal to 0": "0 or more",
    "greater than or equal to 1": "1 or more",
}
"""What pydantic calls in Python's words."""


@dataclass(frozen=True)
class Document:
    """What a JSON file must be.

    Args:
        schema: Type of the content, for pydantic in its strict mode: nothing is converted. What a ``TypedDict`` does
            not name may be there.
        what: In words, after "expected", e.g. ``the plans of a model``.
        remedy: What to do about a wrong one, a sentence.
        error: Class of what is raised.
    """

    schema: Any
    what: str
    remedy: str
    error: type[HeteroError] = DataError

    @cached_property
    def _adapter(self) -> TypeAdapter:
        return TypeAdapter(self.schema)

    def read(self, file: str | os.PathLike, name: str | os.PathLike | None = None) -> Any:
        """Content of a file.

        Args:
            file: Where it lies.
            name: What errors call it, if not by its path.

        Raises:
            HeteroError: Of the class `error`, if it is not there, cannot be read, is no JSON or does not fit.
        """
        name = file if name is None else name
        try:
            content = json.loads(read_text(file))
        except ProblemError as problem:
            raise self.refusal(name, str(problem)) from problem
        except (ValueError, RecursionError) as error:
            raise self.refusal(name, f"is not valid JSON ({_json_words(error)})") from error
        return self.check(content, name)

    def read_if_there(self, file: str | os.PathLike) -> Any | None:
        """The same; None if nothing of that name is there."""
        return self.read(file) if os.path.lexists(file) else None

    def check(self, content: Any, file: str | os.PathLike) -> Any:
        """Compare a content with the schema.

        Args:
            content: From the file, whichever way it was read.
            file: Where from, for the error.

        Returns:
            The content itself, with whatever it holds besides.

        Raises:
            HeteroError: Of the class `error`, if it does not fit.
        """
        try:
            self._adapter.validate_python(content, strict=True)
        except ValidationError as error:
            raise self.refusal(file, f"does not fit: {_first_problem(error, content)}") from error
        return content

    def or_aside(self, file: str | os.PathLike) -> Any | None:
        """Content of a file that only helps; None if it is not there, or is not what it must be.

        Such a one is kept under another name, see `put_aside`, and the user is told.
        """
        try:
            return self.read_if_there(file)
        except self.error as error:
            put_aside(file, error)
            return None

    def update(self, file: str | os.PathLike, change: Callable[[dict], dict]) -> None:
        """Change a file that only helps and that other processes change too, and replace it as a whole.

        Args:
            file: One that is not there, or is put aside (see `or_aside`), counts as empty.
            change: From the present content to the new one. The file is not touched if they are equal, and removed if
                nothing is left.
        """
        file = Path(file)
        with locked(file.parent):
            before = self.or_aside(file) or {}
            after = change(dict(before))
            if not after:
                file.unlink(missing_ok=True)
            elif after != before:
                replace_json(file, after)

    def refusal(self, file: str | os.PathLike, problem: str) -> HeteroError:
        """What to raise if a file is not what it must be.

        Args:
            file: Which one.
            problem: In words that follow its name.
        """
        return self.error(f"{file} {problem}. Expected: {self.what}. {self.remedy}")


@dataclass(frozen=True)
class CsvDocument:
    """What a CSV file that we wrote, and others may have touched, must be.

    Args:
        columns: Those that must be there; their type for pydantic, which reads it from the cell's text.
        what: See `Document`.
        remedy: See `Document`.
        optional: Type of columns that may be there.
        other: Type of all other columns.
        error: See `Document`.
    """

    columns: Mapping[str, Any]
    what: str
    remedy: str
    optional: Mapping[str, Any] = field(default_factory=dict)
    other: Any = str
    error: type[HeteroError] = DataError

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter]:
        return {name: TypeAdapter(kind) for name, kind in {**self.optional, **self.columns}.items()}

    @cached_property
    def _other(self) -> TypeAdapter:
        return TypeAdapter(self.other)

    def read(self, file: str | os.PathLike) -> list[dict[str, Any]]:
        """The rows of a file, by column.

        Raises:
            HeteroError: Of the class `error`, if it is not there, cannot be read, lacks a column or has one twice, or a
                row is cut off or has a cell that is no such value.
        """
        try:
            return self._rows(read_text(file))
        except ProblemError as problem:
            raise self.error(f"{file} {problem}. Expected: {self.what}. {self.remedy}") from problem
        except csv.Error as error:
            raise self.error(f"{file} is no CSV table ({error}). Expected: {self.what}. {self.remedy}") from error

    def or_aside(self, file: str | os.PathLike) -> list[dict[str, Any]]:
        """The rows of a file that only helps; none if it is not there or not what it must be, see `put_aside`."""
        try:
            return self.read(file) if os.path.lexists(file) else []
        except self.error as error:
            put_aside(file, error)
            return []

    def _rows(self, text: str) -> list[dict[str, Any]]:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        lacking = [name for name in self.columns if name not in header]
        if lacking:
            raise ProblemError(f"has no column '{lacking[0]}'; it begins with {_shortened(', '.join(header))}")
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise ProblemError(f"has two columns '{twice[0]}'")
        rows = []
        for cells in reader:
            if len(cells) != len(header):
                raise ProblemError(f"has {len(cells)} cells in line {reader.line_num} and {len(header)} columns")
            named = zip(header, cells, strict=True)
            rows.append({name: self._value(name, cell, reader.line_num) for name, cell in named})
        return rows

    def _value(self, column: str, cell: str, line: int) -> Any:
        try:
            return self._adapters.get(column, self._other).validate_python(cell)
        except ValidationError as error:
            wrong = f"has {_shortened(cell)} in line {line}, column '{column}'"
            raise ProblemError(f"{wrong}, not {_expectation(error.errors()[0])}") from error


def made_of(kind: type[Made], content: Mapping[str, Any]) -> Made:
    """A dataclass made of what a document holds; what stands there besides is left out.

    Args:
        kind: The dataclass.
        content: Of a `Document` whose schema asks for all that the dataclass needs.
    """
    names = [one.name for one in fields(kind) if one.name in content]  # type: ignore[arg-type]
    return kind(**{name: content[name] for name in names})


class ProblemError(Exception):
    """What is wrong with a file, in words that follow its name."""


def read_text(file: str | os.PathLike) -> str:
    """A file's text, in UTF-8.

    Raises:
        ProblemError: If it is not there, no file, unreadable, empty, too large, or not in UTF-8.
    """
    try:
        # Without waiting for a writer, should it be a pipe.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ProblemError("is no file" if not stat.S_ISDIR(found.st_mode) else "is a folder")
            if found.st_size > LARGEST:
                raise ProblemError(f"has {found.st_size} bytes, too many")
            content = stream.read()
    except FileNotFoundError as error:
        raise ProblemError("is not there") from error
    except OSError as error:
        raise ProblemError("is a folder" if os.path.isdir(file) else f"cannot be read ({error.strerror})") from error
    if not content.strip():
        raise ProblemError("is empty")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(f"is not text in UTF-8 (byte {error.start + 1} is {content[error.start]:#04x})") from error


def put_aside(file: str | os.PathLike, reason: Exception) -> None:
    """Rename a file, or whatever else has its name, so that it can be made anew, and say so.

    Args:
        file: Its new name has `ASIDE` at the end; what an earlier run put aside is replaced.
        reason: What is wrong with it.
    """
    file = Path(file)
    target = next(name for name in _free_names(file) if not name.is_dir() or name.is_symlink())
    os.replace(file, target)
    print(f"WARNING: {reason} It is kept as {target.name}, and begun anew.", flush=True)


def _free_names(file: Path) -> Iterator[Path]:
    yield file.with_name(file.name + ASIDE)
    number = 1
    while True:
        number += 1
        yield file.with_name(f"{file.name}{ASIDE}{number}")


def _first_problem(error: ValidationError, content: Any) -> str:
    """The first place that does not fit, with all that it could be."""
    found = [(_path(entry["loc"], content, entry["type"] == "missing"), entry) for entry in error.errors()]
    # A union complains of the value for one type, and of a part of it for another.
    path, first = max((pair for pair in found if pair[0].startswith(found[0][0])), key=lambda pair: len(pair[0]))
    where = f"'{path}'" if path else "it"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "extra_forbidden":
        return f"{where} is not known"
    expected = list(dict.fromkeys(_expectation(entry) for name, entry in found if name == path))
    return f"{where} is {_shortened(first['input'])}, not {' or '.join(expected)}"


def _path(steps: tuple[int | str, ...], content: Any, missing: bool) -> str:
    """Where in the content it is, as ``labels.edema[0]``; pydantic's names of the types of a union are left out."""
    path = ""
    for place, step in enumerate(steps):
        known = False
        with contextlib.suppress(TypeError, LookupError):
            content, known = content[step], True
        if known or (missing and place == len(steps) - 1):
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def _expectation(entry: Mapping[str, Any]) -> str:
    if entry["type"] == "string_pattern_mismatch":
        return "what may be there"
    if entry["type"] == "literal_error":
        return entry["ctx"]["expected"]
    message = entry["msg"].split(",")[0].removeprefix("Input should be ")
    return _JSON_WORDS.get(message, message)


def _shortened(value: Any) -> str:
    names = {dict: "an object", list: "a list", type(None): "null", bool: str(value).lower()}
    text = names.get(type(value)) or repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _json_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError) and error.doc.startswith("\ufeff"):
        return "it begins with a byte order mark; save it as UTF-8 without one"
    return str(error)
