"""Downloads from a server on this machine: whole, resumed, cut off, changed meanwhile, and from a hub."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from helpers.accidents.file_server import Server

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.download import Download, is_address

CONTENT = bytes(range(256)) * 40_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with Server(CONTENT) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def download(server: Server, folder: Path, **more) -> Download:
    return Download(f"{server.address}/model.zip", folder, progress=False, **more)


class TestFromAnAddress:
    def test_whole_with_its_checksum(self, server, tmp_path):
        file = download(server, tmp_path, sha256=SHA256.upper()).fetch()
        assert file == tmp_path / "model.zip" and file.read_bytes() == CONTENT
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.zip"]

    def test_without_a_checksum_it_is_printed(self, server, tmp_path, capsys):
        download(server, tmp_path).fetch()
        assert SHA256 in capsys.readouterr().out

    def test_goes_on_where_it_stopped(self, server, tmp_path):
        server.breaks_after = 3_000_000
        with pytest.raises(SettingsError, match="3000000 bytes are kept"):
            download(server, tmp_path).fetch()
        server.breaks_after = None
        assert download(server, tmp_path, sha256=SHA256).fetch().read_bytes() == CONTENT
        assert server.ranges == [None, "bytes=3000000-"]

    def test_starts_again_if_the_file_changed_meanwhile(self, server, tmp_path):
        server.breaks_after = 3_000_000
        with pytest.raises(SettingsError):
            download(server, tmp_path).fetch()
        server.breaks_after, server.content = None, CONTENT[::-1]
        assert download(server, tmp_path).fetch().read_bytes() == CONTENT[::-1]

    def test_another_file_than_the_checksum_says_is_removed(self, server, tmp_path):
        with pytest.raises(SettingsError, match=f"has the SHA-256 {SHA256}, expected is {'0' * 64}"):
            download(server, tmp_path, sha256="0" * 64).fetch()
        assert not (tmp_path / "model.zip").exists()

    def test_what_is_not_there(self, server, tmp_path):
        with pytest.raises(SettingsError, match="404") as refusal:
            Download(f"{server.address}/other.bin", tmp_path, progress=False).fetch()
        assert "kept" not in str(refusal.value)

    def test_no_server(self, tmp_path):
        with pytest.raises(SettingsError, match="could not be downloaded"):
            Download("http://127.0.0.1:9/model.zip", tmp_path, progress=False).fetch()


class TestFromAHub:
    @pytest.fixture
    def hub(self, server, tmp_path, monkeypatch):
        pytest.importorskip("huggingface_hub", reason="an extra: pip install 'nnunet-hetero[hub]'")
        from huggingface_hub import constants

        for name in ("ENDPOINT", "_HF_DEFAULT_ENDPOINT", "HUGGINGFACE_CO_URL_HOME"):
            if hasattr(constants, name):
                monkeypatch.setattr(constants, name, server.address)
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        return server

    @pytest.mark.parametrize("source", ["hf://me/brain", "hf://me/brain@v1", "hf://me/brain@v1:model.zip"])
    def test_the_model_of_a_repository(self, hub, tmp_path, source):
        file = Download(source, tmp_path / "out", SHA256, progress=False).fetch()
        assert file.read_bytes() == CONTENT

    def test_several_models(self, hub, tmp_path):
        hub.files = ["a.zip", "b.zip"]
        with pytest.raises(SettingsError, match=r"has 2 zip files \(a\.zip, b\.zip\)"):
            Download("hf://me/brain", tmp_path, progress=False).fetch()

    def test_an_unknown_file(self, hub, tmp_path):
        with pytest.raises(SettingsError, match="could not be downloaded"):
            Download("hf://me/brain:other.bin", tmp_path, progress=False).fetch()

    def test_no_network(self, hub, tmp_path, monkeypatch):
        from huggingface_hub import constants

        for name in ("ENDPOINT", "_HF_DEFAULT_ENDPOINT", "HUGGINGFACE_CO_URL_HOME"):
            if hasattr(constants, name):
                monkeypatch.setattr(constants, name, "http://127.0.0.1:9")
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between its attempts
        with pytest.raises(SettingsError, match="hf://me/brain could not be downloaded"):
            Download("hf://me/brain", tmp_path, progress=False).fetch()


class TestSource:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("https://a/b.zip", True),
            ("hf://a/b", True),
            ("model.zip", False),
            ("/a/model.zip", False),
            (r"C:\m.zip", False),
        ],
    )
    def test_what_is_an_address(self, source, expected):
        assert is_address(source) == expected

    @pytest.mark.parametrize(
        ("source", "sha256", "words"),
        [
            ("http://example.org/model.zip", None, "is not encrypted"),
            ("https://example.org/model.zip", "abc", "64 hexadecimal digits"),
            ("model.zip", None, "is no address"),
        ],
    )
    def test_what_is_refused(self, tmp_path, source, sha256, words):
        with pytest.raises(SettingsError, match=words):
            Download(source, tmp_path, sha256)
