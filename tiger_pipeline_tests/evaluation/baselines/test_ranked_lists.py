import numpy as np

from tiger_pipeline.evaluation.baselines.ranked_lists import first_allowed


def test_forbidden_items_close_up_and_short_rows_are_filled():
    items = np.array([[4, 2, 7], [1, 3, 5]])
    logp = np.array([[-1.0, -2.0, -3.0], [-1.0, -2.0, -3.0]])
    allowed = np.array([[False, True, True], [True, False, False]])
    result = first_allowed(items, logp, allowed, top_k=2)
    assert result.items.tolist() == [[2, 7], [1, -1]]
    assert result.logp.tolist() == [[-2.0, -3.0], [-1.0, -np.inf]]
    assert (result.items.dtype, result.logp.dtype) == (np.int32, np.float32)


def test_lists_may_be_longer_than_the_ranking():
    result = first_allowed(np.array([[4]]), np.array([[-1.0]]), np.array([[True]]), top_k=3)
    assert result.items.tolist() == [[4, -1, -1]]
