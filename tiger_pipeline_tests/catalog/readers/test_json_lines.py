import gzip
import json
from pathlib import Path

from tiger_pipeline.catalog.readers.json_lines import read_records
from tiger_pipeline.progress import NoProgress, ProgressTask


class Recorder(NoProgress):
    def __init__(self) -> None:
        self.total, self.done = 0, 0

    def task(self, name, total, unit="steps"):  # type: ignore[no-untyped-def]
        self.total = total
        return self

    def __enter__(self) -> ProgressTask:
        return self

    def __exit__(self, *error: object) -> None: ...

    def advance(self, amount: int = 1, **figures: float) -> None:
        assert amount >= 0
        self.done += amount


def test_lines_are_numbered_and_empty_ones_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"a": 2}')
    assert list(read_records(path, NoProgress())) == [(1, {"a": 1}), (4, {"a": 2})]


def test_progress_is_told_in_bytes_of_the_stored_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    lines = "".join(json.dumps({"n": n, "text": f"{n * 7919}"}) + "\n" for n in range(20_000))
    path.write_bytes(gzip.compress(lines.encode()))
    progress = Recorder()
    assert [record["n"] for _, record in read_records(path, progress)] == list(range(20_000))
    assert progress.total == path.stat().st_size
    assert 0.5 * progress.total < progress.done <= progress.total
