import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.encoding import embed
from tiger_pipeline.encoding.cache import EmbeddingCache
from tiger_pipeline.encoding.embed import embed_item_texts
from tiger_pipeline.encoding.embedding_table import vectors_of
from tiger_pipeline.encoding.model_source import encoder_fingerprint
from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.storage.tables import metadata_of, read_table, write_table
from tiger_pipeline_tests.encoding.conftest import (
    CountingEncoder,
    Notes,
    some_texts,
    texts_table,
)


@pytest.fixture
def counting(tiny_encoder):
    return CountingEncoder(tiny_encoder)


def test_the_artifact(tiny_config, tiny_encoder, tmp_path):
    texts = ["red nail polish", "", "lip balm", "red nail polish"]
    result = embed_item_texts(texts_table(texts), tiny_config, tmp_path / "cache")

    assert (result.encoded, result.cached) == (3, 0)
    assert result.table.schema.names == ["item_id", "text_hash", "embedding"]
    assert result.table.schema.types == [pa.string(), pa.string(), pa.list_(pa.float32(), 8)]
    assert result.table["item_id"].to_pylist() == ["i0", "i1", "i2", "i3"]
    expected = np.concatenate([tiny_encoder.encode_batch([text]) for text in texts])
    np.testing.assert_allclose(vectors_of(result.table), expected, atol=1e-5)
    metadata = metadata_of(result.table)
    assert metadata["encoder_fingerprint"] == encoder_fingerprint(tiny_config)
    assert metadata["encoder"] == tiny_config.model_dump()
    assert metadata["dimension"] == 8

    write_table(tmp_path / "item_embeddings.parquet", result.table)
    again = read_table(tmp_path / "item_embeddings.parquet")
    assert metadata_of(again) == metadata
    np.testing.assert_array_equal(vectors_of(again), vectors_of(result.table))


def test_a_second_run_loads_no_encoder_and_gives_the_same(tiny_config, tmp_path):
    def refuse(config, device):
        raise AssertionError("nothing is missing")

    texts = texts_table(some_texts(20))
    first = embed_item_texts(texts, tiny_config, tmp_path)
    second = embed_item_texts(texts, tiny_config, tmp_path, load=refuse)
    assert (second.encoded, second.cached) == (0, 20)
    assert second.table.equals(first.table, check_metadata=True)


@settings(max_examples=10, deadline=None)
@given(
    before=st.lists(st.integers(0, 15), min_size=1, max_size=12),
    after=st.lists(st.integers(0, 15), min_size=1, max_size=12),
)
def test_a_catalog_that_changes_encodes_only_new_texts(
    before, after, tiny_config, tiny_encoder, tmp_path_factory
):
    cache_dir = tmp_path_factory.mktemp("cache")
    vocabulary = some_texts(16)
    embed_item_texts(texts_table([vocabulary[index] for index in before]), tiny_config, cache_dir)

    counting = CountingEncoder(tiny_encoder)
    texts = [vocabulary[index] for index in after]
    result = embed_item_texts(
        texts_table(texts), tiny_config, cache_dir, load=lambda config, device: counting
    )
    new = set(after) - set(before)
    assert sorted(counting.texts) == sorted(vocabulary[index] for index in new)
    assert (result.encoded, result.cached) == (len(new), len(set(after) - new))
    alone = np.concatenate([tiny_encoder.encode_batch([text]) for text in texts])
    np.testing.assert_allclose(vectors_of(result.table), alone, atol=1e-5)


@pytest.mark.parametrize("killed", [False, True])
def test_an_interrupted_run_keeps_what_it_finished(
    tiny_config, tiny_encoder, tmp_path, monkeypatch, killed
):
    """An exception loses nothing; a killed process loses at most the part under way."""
    monkeypatch.setattr(embed, "_TEXTS_PER_PART", 10)
    if killed:
        monkeypatch.setattr(embed._PartWriter, "__exit__", lambda *arguments: None)
    texts = some_texts(60)
    failing = CountingEncoder(tiny_encoder, fail_after=6)
    with pytest.raises(KeyboardInterrupt):
        embed_item_texts(
            texts_table(texts), tiny_config, tmp_path, load=lambda config, device: failing
        )
    finished = set(failing.texts)
    assert 10 < len(finished) < 60

    resumed = CountingEncoder(tiny_encoder)
    result = embed_item_texts(
        texts_table(texts), tiny_config, tmp_path, load=lambda config, device: resumed
    )
    repeated = finished & set(resumed.texts)
    assert len(repeated) < 10 if killed else not repeated
    assert set(resumed.texts) >= set(texts) - finished
    assert result.cached == len(finished) - len(repeated)
    alone = np.concatenate([tiny_encoder.encode_batch([text]) for text in texts])
    np.testing.assert_allclose(vectors_of(result.table), alone, atol=1e-5)


def test_a_part_is_written_when_the_last_one_is_long_ago(
    tiny_config, counting, tmp_path, monkeypatch
):
    monkeypatch.setattr(embed, "_SECONDS_PER_PART", -1.0)
    embed_item_texts(
        texts_table(some_texts(30)), tiny_config, tmp_path, load=lambda config, device: counting
    )
    parts = list((tmp_path / encoder_fingerprint(tiny_config)).iterdir())
    assert len(parts) == len(counting.batches) > 1


def test_a_damaged_part_is_encoded_again(tiny_config, tmp_path):
    texts = texts_table(some_texts(10))
    first = embed_item_texts(texts, tiny_config, tmp_path)
    (part,) = (tmp_path / first.encoder_fingerprint).iterdir()
    part.write_bytes(part.read_bytes()[:-8])

    notes = Notes()
    second = embed_item_texts(texts, tiny_config, tmp_path, progress=notes)
    assert second.encoded == 10
    assert part.name in notes.notes[0]
    assert second.table.equals(first.table)


def test_encoders_do_not_share_vectors(tiny_config, causal_config, tmp_path):
    texts = texts_table(some_texts(5))
    embed_item_texts(texts, tiny_config, tmp_path)
    other = embed_item_texts(texts, causal_config, tmp_path)
    assert other.encoded == 5
    assert vectors_of(other.table).shape == (5, 16)
    normalized = tiny_config.model_copy(update={"normalize": True})
    assert embed_item_texts(texts, normalized, tmp_path).encoded == 5


def test_nan_from_an_encoder_names_the_items(causal_config, tmp_path):
    """Weights with a NaN in one word's embedding: only the texts with that word are at fault."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "nan"
    shutil.copytree(causal_config.name, folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("embed_tokens.weight"))
    weights[name] = weights[name].copy()
    weights[name][3] = np.nan  # "red", the first word after three special tokens
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    config = causal_config.model_copy(update={"name": str(folder)})
    texts = texts_table(["lip balm", "red lip balm", "blue nail polish"])
    with pytest.raises(InputError, match="NaN or infinity for the text of 'i1'"):
        embed_item_texts(texts, config, tmp_path / "cache")
    cache = EmbeddingCache(tmp_path / "cache" / encoder_fingerprint(config))
    assert not cache.lookup(texts["text_hash"].combine_chunks()).found[1]


def test_no_items(tiny_config, tmp_path):
    with pytest.raises(InputError, match="catalog is empty"):
        embed_item_texts(texts_table([]), tiny_config, tmp_path)


def test_too_little_memory_names_the_setting_and_keeps_what_was_encoded(
    tiny_config, tiny_encoder, tmp_path
):
    import torch

    class FullGpu(CountingEncoder):
        def encode_batch(self, texts):
            if self.batches:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
            return super().encode_batch(texts)

    encoder = FullGpu(tiny_encoder)
    texts = texts_table(some_texts(60))
    with pytest.raises(
        ConfigurationError, match=r"Lower model\.encoder\.tokens_per_batch \(now 64"
    ):
        embed_item_texts(texts, tiny_config, tmp_path, load=lambda config, device: encoder)
    assert embed_item_texts(texts, tiny_config, tmp_path).cached == len(encoder.texts) > 0
