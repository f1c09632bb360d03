"""``modalities.json``."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from nnunet_hetero.inference.output.modality_record import modalities_in_words, write_records


class TestRecord:
    def test_lines(self):
        assert modalities_in_words("a", {"used": ["T1", "T2"], "absent": {}}) == "a: T1+T2"
        entry = {"used": ["T1", "T2", "FLAIR"], "absent": {"T1c": "no file"}}
        assert modalities_in_words("BraTS_001", entry) == "BraTS_001: T1+T2+FLAIR (absent: T1c)"

    def test_parallel_writers_lose_nothing(self, tmp_path):
        """As with -num_parts, where several processes write to one folder."""
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda number: write_records(tmp_path, {f"{number:02d}": {"used": ["T1"], "absent": {}}}), range(40)
                )
            )
        entries = json.loads((tmp_path / "modalities.json").read_text())
        assert sorted(entries) == [f"{number:02d}" for number in range(40)]

    def test_later_entry_replaces_earlier(self, tmp_path):
        write_records(tmp_path, {"a": {"used": ["T1"], "absent": {}}})
        write_records(tmp_path, {"a": {"used": ["T2"], "absent": {}}})
        assert json.loads((tmp_path / "modalities.json").read_text())["a"]["used"] == ["T2"]
