"""Fusion networks with random weights, and their scores from the definition, for the tests."""

import math

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.fusion_network import N_FEATURES, FusionNetwork


def random_network(seed: int, hidden_units: int = 5) -> FusionNetwork:
    """With every array random."""
    random = np.random.default_rng(seed)

    def array(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return FusionNetwork(
        center=array(N_FEATURES),
        scale=1 + np.abs(array(N_FEATURES)),
        linear=array(N_FEATURES),
        first=array(N_FEATURES, hidden_units),
        first_bias=array(hidden_units),
        second=array(hidden_units, hidden_units),
        second_bias=array(hidden_units),
        last=array(hidden_units),
        seen=np.array(-1.5, dtype=np.float32),
    )


def fused_by_definition(
    network: FusionNetwork,
    logp: np.ndarray,
    histories: Histories,
    exclude_seen: bool,
) -> np.ndarray:
    """float64[n, n_items], user by user and item by item; all items are candidates."""
    scores = np.zeros(logp.shape[:2])
    for user, history in enumerate(map(histories.__getitem__, range(len(histories)))):
        unseen = np.setdiff1d(np.arange(logp.shape[1]), history)
        best = [max(logp[user, unseen, score], default=0.0) for score in range(4)]
        for item in range(logp.shape[1]):
            score = _of_candidate(network, logp[user, item], best)
            is_seen = item in history
            scores[user, item] = score + network.seen * is_seen
            if is_seen and exclude_seen:
                scores[user, item] = -np.inf
    return scores


def _of_candidate(network: FusionNetwork, logp: np.ndarray, best: list[float]) -> float:
    behind = [max(own - highest, -50) for own, highest in zip(logp, best, strict=True)]
    ratios = [min(1.0, math.exp(value)) for value in behind]
    x = (np.array([*behind, *ratios, *best]) - network.center) / network.scale
    hidden = [
        max(0.0, x @ weights + bias)
        for weights, bias in zip(network.first.T, network.first_bias, strict=True)
    ]
    hidden = [
        max(0.0, np.array(hidden) @ weights + bias)
        for weights, bias in zip(network.second.T, network.second_bias, strict=True)
    ]
    return float(x @ network.linear + np.array(hidden) @ network.last)
