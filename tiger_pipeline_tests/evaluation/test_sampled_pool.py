import numpy as np
import pytest
from scipy.stats import chisquare

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.evaluation.baselines.sasrec import SasrecRecommender, build_sasrec
from tiger_pipeline.evaluation.baselines.standard import standard_baselines
from tiger_pipeline.evaluation.config import EvaluationConfig, SasrecConfig
from tiger_pipeline.evaluation.protocol import EvaluationProtocol, evaluate
from tiger_pipeline.evaluation.sampled_pool import draw_negatives, pool_ranks
from tiger_pipeline.generation.recommendations import PoolRecommender
from tiger_pipeline_tests.evaluation.synthetic import FixedRecommender, random_sequences

N_ITEMS = 40
SEQUENCES = random_sequences(30, N_ITEMS, seed=1)
USERS = np.arange(30)


def recommenders(sequences: UserSequences) -> dict[str, PoolRecommender]:
    sasrec = build_sasrec(SasrecConfig(width=8, heads=1), N_ITEMS)
    found = {
        **standard_baselines(sequences, seed=0),
        "sasrec": SasrecRecommender(sasrec, 7, cpu()),
    }
    for recommender in found.values():
        assert isinstance(recommender, PoolRecommender)
    return found


def own_items(user: int) -> set[int]:
    return set(SEQUENCES.items[SEQUENCES.offsets[user] : SEQUENCES.offsets[user + 1]].tolist())


def test_negatives_are_items_that_the_user_has_nowhere():
    negatives = draw_negatives(SEQUENCES, USERS, 12, seed=3)
    assert (negatives.shape, negatives.dtype) == ((30, 12), np.int32)
    for user, row in zip(USERS, negatives.tolist(), strict=True):
        assert len(set(row)) == 12
        assert not own_items(user) & set(row)
    assert np.array_equal(negatives[[4, 2]], draw_negatives(SEQUENCES, USERS[[4, 2]], 12, seed=3))
    assert not np.array_equal(negatives, draw_negatives(SEQUENCES, USERS, 12, seed=4))


def test_negatives_are_uniform():
    drawn = np.stack([draw_negatives(SEQUENCES, USERS[:1], 5, seed)[0] for seed in range(800)])
    allowed = [item for item in range(N_ITEMS) if item not in own_items(0)]
    counts = np.bincount(drawn.ravel(), minlength=N_ITEMS)[allowed]
    assert counts.sum() == drawn.size
    assert chisquare(counts).pvalue > 1e-3


def test_too_many_negatives_are_refused():
    with pytest.raises(ConfigurationError, match=r"sampled_negatives is 39, but user 'user0'"):
        draw_negatives(SEQUENCES, USERS, 39, seed=0)


@pytest.mark.parametrize("name", ["popularity", "item_transition_knn", "sasrec"])
def test_the_rank_is_that_of_the_full_ranking_cut_to_the_pool(name: str):
    recommender = recommenders(SEQUENCES)[name]
    histories, targets = SEQUENCES.evaluation("test")
    negatives = draw_negatives(SEQUENCES, histories.users, 9, seed=0)
    ranks = pool_ranks(recommender, histories, targets, negatives, 10, 7, lambda users: None)
    whole = recommender.recommend(histories, N_ITEMS, exclude_seen=False).items
    for row, target in enumerate(targets):
        pool = {int(target), *negatives[row].tolist()}
        within = [item for item in whole[row].tolist() if item in pool]
        assert ranks[row] == 1 + within.index(target)


def test_a_random_ranking_puts_the_target_anywhere_alike():
    recommender = recommenders(SEQUENCES)["random_ranking"]
    counts = np.zeros(4)
    for seed in range(40):
        negatives = draw_negatives(SEQUENCES, USERS, 3, seed)
        histories, targets = SEQUENCES.evaluation("test")
        ranks = pool_ranks(recommender, histories, targets, negatives, 4, 9, lambda users: None)
        counts += np.bincount(ranks, minlength=5)[1:]
    # One permutation of the items a user: pools of a user are not independent.
    assert counts.sum() == 1200
    assert (np.abs(counts / 1200 - 0.25) < 0.1).all()


def test_an_evaluation_by_pools_says_so_and_masks_seen_targets():
    config = EvaluationConfig(cutoffs=(1, 5), sampled_negatives=7, sampling_seed=2)
    recommender = recommenders(SEQUENCES)["popularity"]
    result = evaluate(recommender, SEQUENCES, config, "popularity")
    protocol = EvaluationProtocol.of(result.metrics, "test", "masked")
    assert (protocol.candidates, protocol.ranking) == (8, "sampled (7 negatives, seed 2)")
    assert "not comparable with full ranking" in protocol.in_words()
    rows = result.ranks.to_pylist()
    assert all(0 <= row["rank"] <= 5 for row in rows)
    assert all(row["rank"] == 0 for row in rows if row["target_seen"] and row["seen"] == "masked")
    both = {
        seen: [r["rank"] for r in rows if r["seen"] == seen and not r["target_seen"]]
        for seen in ("masked", "kept")
    }
    assert both["masked"] == both["kept"]
    assert any(rank > 0 for rank in both["kept"])


def test_a_recommender_of_lists_only_is_refused():
    config = EvaluationConfig(sampled_negatives=5)
    with pytest.raises(ConfigurationError, match="FixedRecommender finds its own items"):
        evaluate(FixedRecommender(N_ITEMS), SEQUENCES, config, "fixed")


def test_no_users_have_no_ranks():
    nobody = Histories(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32))
    ranks = pool_ranks(
        recommenders(SEQUENCES)["popularity"],
        nobody,
        np.zeros(0, np.int32),
        np.zeros((0, 3), np.int32),
        5,
        4,
        lambda users: None,
    )
    assert ranks.shape == (0,)
