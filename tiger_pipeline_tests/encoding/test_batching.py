import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.encoding.batching import encode_texts, plan_batches
from tiger_pipeline_tests.encoding.conftest import CountingEncoder, some_texts


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 300), max_size=60),
    budget=st.integers(64, 512),
)
def test_batches_hold_every_text_once_within_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=np.int32)
    batches = plan_batches(lengths, budget)

    order = np.concatenate([*batches, np.zeros(0, dtype=int)])
    assert sorted(order) == list(range(len(lengths)))
    assert list(lengths[order]) == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


def test_batches_are_as_large_as_the_budget_allows():
    batches = plan_batches(np.array([4, 10, 4, 10, 4]), tokens_per_batch=20)
    assert [list(batch) for batch in batches] == [[1, 3], [0, 2, 4]]


@pytest.mark.parametrize("budget", [64, 150, 100_000])
def test_batching_does_not_change_vectors(tiny_encoder, budget):
    texts = some_texts(40)
    alone = np.concatenate([tiny_encoder.encode_batch([text]) for text in texts])
    np.testing.assert_allclose(encode_texts(tiny_encoder, texts, budget), alone, atol=1e-5)


def test_order_does_not_change_vectors(tiny_encoder):
    texts = some_texts(40)
    shuffled = np.random.default_rng(1).permutation(len(texts))
    vectors = encode_texts(tiny_encoder, texts, 128)
    again = encode_texts(tiny_encoder, [texts[index] for index in shuffled], 128)
    np.testing.assert_allclose(again, vectors[shuffled], atol=1e-5)


def test_equal_texts_are_encoded_once(tiny_encoder):
    counting = CountingEncoder(tiny_encoder)
    vectors = encode_texts(counting, ["red nail polish", "lip balm", "red nail polish"], 64)
    assert sorted(counting.texts) == ["lip balm", "red nail polish"]
    assert (vectors[0] == vectors[2]).all()
    assert not np.allclose(vectors[0], vectors[1])


def test_no_texts(tiny_encoder):
    assert encode_texts(tiny_encoder, [], 64).shape == (0, 8)
