import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tiger_pipeline.encoding.embed import embed_item_texts
from tiger_pipeline.encoding.embedding_table import vectors_of
from tiger_pipeline.encoding.shards import Shard, encode_shard
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline_tests.encoding.conftest import some_texts, texts_table


def shard_of(text_hash: str, of: int) -> int:
    return int(text_hash[:8], 16) % of


@example(n_texts=0, of=1, parts=2)
@given(n_texts=st.integers(0, 40), of=st.integers(1, 9), parts=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_every_text_is_in_the_shard_of_its_hash(n_texts: int, of: int, parts: int) -> None:
    texts = texts_table(some_texts(n_texts))
    for index in range(of):
        shard = Shard(index, of)
        expected = [h for h in texts["text_hash"].to_pylist() if shard_of(h, of) == index]
        assert shard.select(texts)["text_hash"].to_pylist() == expected
        divided = [shard.divided(part, parts).select(texts) for part in range(parts)]
        hashes = [text for table in divided for text in table["text_hash"].to_pylist()]
        assert sorted(hashes) == sorted(expected)


def test_shards_are_of_similar_size() -> None:
    texts = texts_table(some_texts(2000))
    sizes = [Shard(index, 8).select(texts).num_rows for index in range(8)]
    assert min(sizes) > 190
    assert max(sizes) < 310


@pytest.mark.parametrize(("index", "of"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_cannot_be_is_refused(index: int, of: int) -> None:
    with pytest.raises(ConfigurationError, match="shard"):
        Shard(index, of)


def test_shards_together_give_the_embeddings_of_one_run(tiny_config, tmp_path) -> None:
    def refuse(config, device):
        raise AssertionError("all shards are encoded")

    texts = texts_table([*some_texts(40), "lip balm", "lip balm"])
    encoded = [
        encode_shard(texts, tiny_config, tmp_path / "shards", Shard(index, 3), NoProgress())
        for index in range(3)
    ]
    assert sum(encoded) == 41
    assert min(encoded) > 0
    sharded = embed_item_texts(texts, tiny_config, tmp_path / "shards", load=refuse)
    assert (sharded.encoded, sharded.cached) == (0, 41)

    whole = embed_item_texts(texts, tiny_config, tmp_path / "whole")
    assert sharded.table.schema.equals(whole.table.schema, check_metadata=True)
    for column in ("item_id", "text_hash"):
        assert sharded.table[column].equals(whole.table[column])
    np.testing.assert_allclose(vectors_of(sharded.table), vectors_of(whole.table), atol=1e-6)
    assert encode_shard(texts, tiny_config, tmp_path / "shards", Shard(1, 3), NoProgress()) == 0


def test_an_empty_shard_needs_no_encoder(tiny_config, tmp_path) -> None:
    texts: pa.Table = texts_table(["lip balm"])
    (text_hash,) = texts["text_hash"].to_pylist()
    other = Shard((shard_of(text_hash, 5) + 1) % 5, 5)
    assert encode_shard(texts, tiny_config, tmp_path, other, NoProgress()) == 0
    assert not any(tmp_path.iterdir())
