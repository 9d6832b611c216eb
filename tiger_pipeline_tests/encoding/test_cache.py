import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.encoding.cache import EmbeddingCache
from tiger_pipeline.encoding.cache_part import CachePart
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline_tests.encoding.conftest import Notes

DIMENSION = 4


def vector_of(text_hash: str) -> np.ndarray:
    seed = int.from_bytes(text_hash.encode(), "little")
    return np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)


def vectors_for(hashes: list[str]) -> np.ndarray:
    return np.stack([vector_of(text_hash) for text_hash in hashes])


def check_lookup(cache: EmbeddingCache, wanted: list[str], stored: set[str]) -> None:
    cached = cache.lookup(pa.array(wanted, pa.string()))
    assert list(cached.found) == [text_hash in stored for text_hash in wanted]
    known = [text_hash for text_hash in wanted if text_hash in stored]
    assert len(cached.vectors) == len(known)
    if known:
        np.testing.assert_array_equal(cached.vectors, vectors_for(known))


def test_an_empty_cache_knows_nothing(tmp_path):
    check_lookup(EmbeddingCache(tmp_path / "none"), ["a", "b"], set())


HASHES = st.sampled_from([f"h{index}" for index in range(30)])


@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(st.lists(HASHES, min_size=1, max_size=10, unique=True), max_size=4),
    wanted=st.lists(HASHES, unique=True, max_size=30),
)
def test_lookup_agrees_with_a_dictionary(parts, wanted, tmp_path_factory):
    """Also with a text in several parts, and with several row groups a part."""
    folder = tmp_path_factory.mktemp("cache")
    cache = EmbeddingCache(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tiger_pipeline.encoding.cache_part._ROWS_PER_GROUP", 3)
        for hashes in parts:
            cache.append(hashes, vectors_for(hashes))
    check_lookup(cache, wanted, {text_hash for hashes in parts for text_hash in hashes})


def test_only_needed_row_groups_are_read(tmp_path, monkeypatch):
    hashes = [f"h{index}" for index in range(10_000)]
    path = EmbeddingCache(tmp_path).append(hashes, vectors_for(hashes))
    read = []
    original = CachePart._read

    def spy(part, groups, column):
        read.append((column, list(groups)))
        return original(part, groups, column)

    monkeypatch.setattr(CachePart, "_read", spy)
    np.testing.assert_array_equal(
        CachePart.open(path).vectors(np.array([5, 9_999])), vectors_for(["h5", "h9999"])
    )
    assert read == [("embedding", [0, 9])]


def test_two_writers_at_once(tmp_path):
    """Both write the same texts and their own; nothing is lost, and nothing is half there."""

    def write(own: str) -> None:
        cache = EmbeddingCache(tmp_path)
        for index in range(10):
            hashes = [f"shared{index}", f"{own}{index}"]
            cache.append(hashes, vectors_for(hashes))

    writers = [threading.Thread(target=write, args=(own,)) for own in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wanted = [f"{name}{index}" for name in ("shared", "a", "b") for index in range(10)]
    check_lookup(EmbeddingCache(tmp_path), wanted, set(wanted))
    assert len(list(tmp_path.iterdir())) == 20


def _flip_a_bit_of_a_vector(content: bytes) -> bytes:
    position = content.index(vector_of("a").tobytes())
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-20], id="cut short"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: b"PAR1 nonsense PAR1", id="not parquet"),
        pytest.param(_flip_a_bit_of_a_vector, id="one bit of a vector flipped"),
    ],
)
def test_a_damaged_part_is_reported_and_set_aside(tmp_path, damage):
    notes = Notes()
    cache = EmbeddingCache(tmp_path, notes)
    part = cache.append(["a", "b"], vectors_for(["a", "b"]))
    cache.append(["c"], vectors_for(["c"]))
    part.write_bytes(damage(part.read_bytes()))

    check_lookup(cache, ["a", "c"], {"c"})
    assert len(notes.notes) == 1
    assert str(part) in notes.notes[0]
    assert part.with_name(f"{part.name}.broken").is_file()
    assert not part.exists()

    check_lookup(cache, ["a", "c"], {"c"})
    assert len(notes.notes) == 1


@pytest.mark.parametrize("bit", [0, 5])
def test_no_flipped_bit_ever_gives_a_wrong_vector(tmp_path, bit):
    """Wherever it is, the footer included: the part is set aside, or what is read is right."""
    hashes = ["a", "b", "c"]
    set_aside = 0
    content = EmbeddingCache(tmp_path).append(hashes, vectors_for(hashes)).read_bytes()
    for position in range(bit, len(content), 4):
        part = tmp_path / str(position) / "part-0.parquet"
        part.parent.mkdir()
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        part.write_bytes(damaged)

        notes = Notes()
        cached = EmbeddingCache(part.parent, notes).lookup(pa.array(hashes))
        known = [text_hash for text_hash, found in zip(hashes, cached.found, strict=True) if found]
        assert bool(notes.notes) == (known != hashes)
        if known:
            np.testing.assert_array_equal(cached.vectors, vectors_for(known))
        set_aside += not known
    assert set_aside > 50


def test_a_parquet_file_that_is_no_part_is_set_aside(tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), tmp_path / "part-0.parquet")
    notes = Notes()
    check_lookup(EmbeddingCache(tmp_path, notes), ["a"], set())
    assert "its columns are {'x'" in notes.notes[0]


def test_a_part_that_cannot_be_accessed_is_not_called_damaged(tmp_path):
    part = tmp_path / "part-0.parquet"
    part.symlink_to(part)
    with pytest.raises(ArtifactError, match=r"part-0\.parquet cannot be read"):
        EmbeddingCache(tmp_path).lookup(pa.array(["a"]))
    assert part.is_symlink()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(tmp_path, bad):
    with pytest.raises(ArtifactError, match="one finite vector a text"):
        EmbeddingCache(tmp_path).append(["a"], np.array([[1, bad]], dtype=np.float32))
    assert not list(tmp_path.iterdir())


def test_the_number_of_texts_and_vectors_must_agree(tmp_path):
    with pytest.raises(ArtifactError, match=r"shape \(1, 4\) for 2 texts"):
        EmbeddingCache(tmp_path).append(["a", "b"], vectors_for(["a"]))


def test_another_dimension_is_refused(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.append(["a"], vectors_for(["a"]))
    with pytest.raises(ArtifactError, match="holds vectors of 4 dimensions"):
        cache.append(["b"], np.ones((1, 5), dtype=np.float32))
    check_lookup(cache, ["a", "b"], {"a"})


def test_parts_of_different_dimensions_are_refused(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.append(["a"], vectors_for(["a"]))
    CachePart.write(tmp_path / "part-zz.parquet", ["b"], np.ones((1, 5), dtype=np.float32))
    with pytest.raises(ArtifactError, match=r"part-zz\.parquet has 5"):
        cache.lookup(pa.array(["a"]))
