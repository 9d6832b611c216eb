import gzip
import json
from pathlib import Path

import pytest

from tiger_pipeline.catalog.readers import compressed
from tiger_pipeline.catalog.readers.compressed import open_binary
from tiger_pipeline.catalog.readers.delimited import read_delimited
from tiger_pipeline.catalog.readers.json_lines import read_records
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import NoProgress


@pytest.fixture
def bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One line of a million characters in a thousand bytes."""
    monkeypatch.setattr(compressed, "_ALWAYS_ALLOWED", 1 << 16)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (1 << 20)))
    return path


def test_a_compressed_file_reads_like_its_content(tmp_path: Path):
    content = b"".join(b"line %d\n" % number for number in range(50_000))
    plain, packed = tmp_path / "a.tsv", tmp_path / "a.tsv.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    for path in (plain, packed):
        with open_binary(path) as file:
            assert file.readline() == b"line 0\n"
            assert file.read() == content[7:]


def test_several_gzip_members_are_one_file(tmp_path: Path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    with open_binary(path) as file:
        assert file.readlines() == [b"one\n", b"two\n"]


def test_what_is_closed_leaves_no_file_open(tmp_path: Path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n"))
    stored = path.open("rb")
    compressed.decompressed(path, stored).close()
    assert stored.closed


def test_a_bomb_is_refused_before_it_is_in_memory(bomb: Path):
    with pytest.raises(InputError, match=r"bomb\.jsonl\.gz grows to more than 200 times"):
        list(read_records(bomb, NoProgress()))
    with pytest.raises(InputError, match=r"bomb\.jsonl\.gz grows to more than 200 times"):
        read_delimited(bomb, "\t", quoting=False)


def test_ordinary_repetition_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compressed, "_ALWAYS_ALLOWED", 0)
    path = tmp_path / "a.jsonl.gz"
    lines = [json.dumps({"item_id": number, "title": "lip balm"}) for number in range(5000)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert len(list(read_records(path, NoProgress()))) == 5000
