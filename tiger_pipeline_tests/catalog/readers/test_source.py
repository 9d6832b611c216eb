from pathlib import Path

import pytest

from tiger_pipeline.catalog.readers.source import read_source, resolve_folder, source_files
from tiger_pipeline.errors import InputError
from tiger_pipeline_tests.catalog.writing import FREEREC, PLAIN, amazon2014, source, write


def test_relative_home_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "deep" / "shop", {})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHOP_DATA", str(tmp_path / "deep"))
    for path in ("deep/shop", "../" + tmp_path.name + "/deep/shop", str(folder)):
        assert resolve_folder(path, tmp_path).resolve() == folder
    for path in ("~/deep/shop", "$SHOP_DATA/shop", "${SHOP_DATA}/shop"):
        assert resolve_folder(path, Path("/elsewhere")) == folder


def test_an_unset_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_FOLDER", raising=False)
    with pytest.raises(InputError, match=r"variable \$\{NO_SUCH_FOLDER\} is not set"):
        resolve_folder("${NO_SUCH_FOLDER}/x", tmp_path)


@pytest.mark.parametrize(
    ("layout", "files", "names"),
    [
        ("plain", PLAIN, ["items.tsv", "interactions.tsv"]),
        ("freerec", FREEREC, ["item.txt", "train.txt", "valid.txt", "test.txt"]),
        ("amazon2014", amazon2014(), ["meta_Beauty.json.gz", "reviews_Beauty_5.json.gz"]),
    ],
)
def test_files_are_found_without_being_read(tmp_path, layout, files, names) -> None:
    folder = write(tmp_path, dict.fromkeys(files, b"not read"))
    found = source_files(source(folder, layout), tmp_path)
    assert [path.name for path in (found.items, *found.interactions)] == names


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    settings = source(write(tmp_path, amazon2014()), "amazon2014")
    first, second = read_source(settings, tmp_path), read_source(settings, tmp_path)
    assert first.items.equals(second.items)
    assert first.interactions.equals(second.interactions)
