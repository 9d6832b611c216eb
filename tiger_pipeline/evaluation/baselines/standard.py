"""The baselines that stand beside every generator, by the name of their leaderboard row."""

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.evaluation.baselines.item_transition_knn import ItemTransitionKNN
from tiger_pipeline.evaluation.baselines.popularity import PopularityRecommender
from tiger_pipeline.evaluation.baselines.random_ranking import RandomRecommender
from tiger_pipeline.generation.recommendations import Recommender

POPULARITY = "popularity"
RANDOM_RANKING = "random_ranking"
"""Not "random", which is a variant: a generator over random codes."""
ITEM_TRANSITION_KNN = "item_transition_knn"
SASREC = "sasrec"
"""Trained, and hence not among the standard baselines, which cost seconds."""


def standard_baselines(sequences: UserSequences, seed: int) -> dict[str, Recommender]:
    """Popularity, random ranking (with `seed`) and item-transition kNN, fitted on training only."""
    training = sequences.training()
    return {
        POPULARITY: PopularityRecommender(training, sequences.n_items),
        RANDOM_RANKING: RandomRecommender(sequences.n_items, seed),
        ITEM_TRANSITION_KNN: ItemTransitionKNN(training, sequences.n_items),
    }
