"""Files from the network: resumed where they stopped, compared with their SHA-256, whole or not there."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.digests import sha256_of

BLOCK = 1 << 20
TIMEOUT = 60.0
"""Seconds without an answer after which a download is given up; the same command goes on with it."""

HUB = "hf"
_REPOSITORY = re.compile(r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:@(?P<revision>[\w./-]+?))?(?::(?P<file>.+))?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def is_address(source: str) -> bool:
    """Whether a source is to be downloaded: ``https://``, ``http://`` or ``hf://``."""
    return urlsplit(source).scheme in ("https", "http", HUB)


@dataclass(frozen=True)
class Download:
    """What is fetched, and to where.

    Args:
        source: ``https://...``, ``http://...``, or ``hf://OWNER/NAME[@REVISION][:FILE]``, a file of a repository of
            Hugging Face; without FILE its only zip file.
        folder: Where the file and its unfinished part lie; a second call with the same folder goes on with the part.
        sha256: What the file must have, 64 hexadecimal digits; None compares nothing.
        progress: Whether to show a progress bar.

    Raises:
        SettingsError: If the source or the SHA-256 is not valid.
    """

    source: str
    folder: Path
    sha256: str | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise SettingsError(f"--sha256 is '{self.sha256}'; a SHA-256 has 64 hexadecimal digits.")
        if not is_address(self.source):
            raise SettingsError(f"'{self.source}' is no address. Give https://..., or hf://OWNER/NAME@REVISION.")
        if urlsplit(self.source).scheme == "http" and self.sha256 is None and not _is_this_machine(self.source):
            raise SettingsError(
                f"{self.source} is not encrypted, so anybody on the way can change it. Give its SHA-256 with --sha256, "
                "or an https address."
            )

    def fetch(self) -> Path:
        """Download, or go on with what an earlier call has left.

        Returns:
            The file.

        Raises:
            SettingsError: If it cannot be had, or is another file than the SHA-256 says; what is there of it then stays
                for the next call, or is removed if it is the wrong file.
        """
        file = self._from_hub() if urlsplit(self.source).scheme == HUB else self._from_address()
        found = sha256_of(file)
        if self.sha256 is not None and found != self.sha256.lower():
            file.unlink()
            raise SettingsError(
                f"{self.source} has the SHA-256 {found}, expected is {self.sha256.lower()}: it is another file, or was "
                "changed on the way. It was removed. Ask its source."
            )
        if self.sha256 is None:
            print(f"The SHA-256 of {self.source} is {found}; compare it with what its source says.")
        return file

    def _from_address(self) -> Path:
        name = os.path.basename(unquote(urlsplit(self.source).path)) or "model.zip"
        self.folder.mkdir(parents=True, exist_ok=True)
        part, file = self.folder / f"{name}.part", self.folder / name
        if file.is_file():
            return file
        try:
            self._append(part)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            kept = part.stat().st_size if part.is_file() else 0
            goes_on = f" {kept} bytes are kept; the same command goes on from there." if kept else ""
            raise SettingsError(f"{self.source} could not be downloaded ({_reason(error)}).{goes_on}") from error
        part.replace(file)
        return file

    def _append(self, part: Path) -> None:
        there = part.stat().st_size if part.is_file() else 0
        tag = part.with_name(f"{part.name}.etag")
        # A part is continued only if the server vouches that the file is still the same.
        known = tag.read_text(encoding="utf-8") if there and tag.is_file() else ""
        request = urllib.request.Request(self.source)
        if known:
            request.add_header("Range", f"bytes={there}-")
            request.add_header("If-Range", known)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            there = there if resumed else 0
            tag.write_text(answer.headers.get("ETag") or "", encoding="utf-8")
            length = answer.headers.get("Content-Length")
            total = there + int(length) if length else None
            bar = tqdm(desc=part.stem, total=total, initial=there, unit="B", unit_scale=True, disable=not self.progress)
            with bar, open(part, "ab" if resumed else "wb") as stream:
                while block := answer.read(BLOCK):
                    stream.write(block)
                    bar.update(len(block))
        if total is not None and part.stat().st_size != total:
            raise ConnectionError(f"{part.stat().st_size} of {total} bytes came")
        tag.unlink(missing_ok=True)

    def _from_hub(self) -> Path:
        try:
            from huggingface_hub import HfApi, hf_hub_download
        except ImportError as error:
            raise SettingsError(
                f"{self.source} needs the package huggingface_hub. Install it: pip install 'nnunet-hetero[hub]'."
            ) from error
        address = urlsplit(self.source)
        match = _REPOSITORY.fullmatch(f"{address.netloc}{address.path}")
        if match is None:
            raise SettingsError(f"'{self.source}' names no repository. Write hf://OWNER/NAME@REVISION, or ...:FILE.")
        repository, revision = f"{match['owner']}/{match['name']}", match["revision"]
        try:
            name = match["file"] or _only_zip(HfApi().list_repo_files(repository, revision=revision), self.source)
            cached = hf_hub_download(repository, name, revision=revision)
        except SettingsError:
            raise
        except Exception as error:  # of the client below huggingface_hub, which is another one in each of its versions
            raise SettingsError(f"{self.source} could not be downloaded ({_reason(error)}).") from error
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(cached, self.folder / os.path.basename(name)))


def _only_zip(names: list[str], source: str) -> str:
    archives = sorted(name for name in names if name.endswith(".zip"))
    if len(archives) != 1:
        raise SettingsError(
            f"{source} has {len(archives)} zip files ({', '.join(archives) or 'none'}). Name the one to take: "
            f"{source}:FILE.zip."
        )
    return archives[0]


def _is_this_machine(source: str) -> bool:
    return urlsplit(source).hostname in ("localhost", "127.0.0.1", "::1")


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
