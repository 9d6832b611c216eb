"""Fit the network of a fused score to targets that are not the test's.

Every candidate of every user is scored once; the network then learns to give the target the highest
share of a softmax over the user's candidates (ListNet's top-one loss, Cao et al. 2007). It starts
as a weighted sum that does well everywhere, and few passes are made, so that few users leave it
near that sum. What it is worth is told by users that it was not fitted to: the users are parted
in two, and each half is ranked by a network fitted to the other. Where the sum alone is better
there, it stays.

Some items can be left out of what is learned (not of what is measured). Where a filter keeps items
of at least five interactions, one with fewer of them in training must have the others among the
targets: to rank what is rare in training higher pays on such data, and on no live catalog. Of items
that have their five in training, the filter says nothing. On Beauty's validation targets, a
network fitted to these items alone keeps three quarters of the gain over the sum that one fitted to
all items has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import explain_out_of_memory
from tiger_pipeline.evaluation.metrics import METRICS, NOT_RECOMMENDED, ndcg
from tiger_pipeline.generation.fusion import FusedRecommender, ScoredCandidates
from tiger_pipeline.generation.fusion_network import N_FEATURES, FusionNetwork
from tiger_pipeline.generation.recommender import ADVICE_ON_MEMORY

SEEN_WEIGHTS = (0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0, -10.0)
_CUTOFF = 10
_HIDDEN_UNITS = 32
_PASSES = 8
_USERS_AT_ONCE = 128
_LEARNING_RATE = 5e-3
_WEIGHT_DECAY = 1e-3


@dataclass(frozen=True)
class FittedFusion:
    """A network, and what it is worth.

    Attributes:
        network: fitted to all users.
        metrics: {"hit_rate@10", "ndcg@10"}, seen items masked, each user ranked by a network that
            was fitted to others.
    """

    network: FusionNetwork
    metrics: dict[str, float]


@explain_out_of_memory(ADVICE_ON_MEMORY)
def fit_fusion(
    recommender: FusedRecommender,
    histories: Histories,
    targets: np.ndarray,
    seed: int,
    is_learned: np.ndarray | None = None,
) -> FittedFusion:
    """Fit the network with seen items masked; then, with these kept, the weight of seen items.

    Args:
        recommender: whose candidates are scored; its own network plays no part.
        histories: n item sequences, n > 0.
        targets: int[n], the item that came after each.
        seed: of the network's first weights, of the halves and of the order of the users.
        is_learned: bool[n_items], False for items that the network must not be fitted to, be it as
            targets or as what targets are preferred to; None: it is fitted to all.

    Raises:
        ConfigurationError: the memory does not suffice.
    """
    users = _Users.of(recommender, histories, targets, is_learned)
    is_fitted, metrics = _cross_validated(users, seed)
    network = _fitted(users, seed) if is_fitted else FusionNetwork.weighted_sum()
    return FittedFusion(_with_seen_weight(users, network), metrics)


@explain_out_of_memory(ADVICE_ON_MEMORY)
def measure_fusion(
    recommender: FusedRecommender,
    histories: Histories,
    targets: np.ndarray,
    seed: int,
    is_learned: np.ndarray | None = None,
) -> dict[str, float]:
    """The metrics of `fit_fusion` with the same arguments, without its network."""
    return _cross_validated(_Users.of(recommender, histories, targets, is_learned), seed)[1]


@dataclass(frozen=True)
class _Users:
    """The users whose target is a candidate: no network can find the targets of the others.

    Attributes:
        candidates: of n users.
        targets: int[n].
        learned: bool[n, m], the candidates that a network is fitted to.
        n_others: the other users.
    """

    candidates: ScoredCandidates
    targets: np.ndarray
    learned: np.ndarray
    n_others: int

    @classmethod
    def of(
        cls,
        recommender: FusedRecommender,
        histories: Histories,
        targets: np.ndarray,
        is_learned: np.ndarray | None,
    ) -> "_Users":
        parts, wanted = [], []
        for rows, candidates in recommender.candidates(histories):
            found = (candidates.items == targets[rows, None]).any(axis=1)
            parts.append(candidates.select(found))
            wanted.append(targets[rows][found])
        candidates, to_find = ScoredCandidates.joined(parts), np.concatenate(wanted)
        learned = candidates.allowed(exclude_seen=True)
        if is_learned is not None:
            learned &= is_learned[candidates.items]
        return cls(candidates, to_find, learned, len(targets) - len(to_find))

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: np.ndarray) -> "_Users":
        return _Users(self.candidates.select(rows), self.targets[rows], self.learned[rows], 0)

    @property
    def is_target(self) -> np.ndarray:
        """bool[n, m], where a target is that a network is fitted to."""
        return (self.candidates.items == self.targets[:, None]) & self.learned

    def ranks(self, network: FusionNetwork, exclude_seen: bool) -> np.ndarray:
        return fused_ranks(self.candidates, self.targets, network, exclude_seen)

    def metrics(self, ranks: np.ndarray) -> dict[str, float]:
        """By the ranks of these users and of the others."""
        every = np.concatenate([ranks, np.full(self.n_others, NOT_RECOMMENDED)])
        return {f"{name}@{_CUTOFF}": measure(every, _CUTOFF) for name, measure in METRICS.items()}


def _cross_validated(users: _Users, seed: int) -> tuple[bool, dict[str, float]]:
    """Whether the network is better than the weighted sum where it was not fitted, and metrics."""
    by_sum = users.ranks(FusionNetwork.weighted_sum(), exclude_seen=True)
    by_network = by_sum.copy()
    shuffled = np.random.default_rng(seed).permutation(len(users))
    halves = np.array_split(shuffled, 2)
    for fitted_to, measured in (halves, halves[::-1]):
        if len(fitted_to) and len(measured):
            network = _fitted(users.select(fitted_to), seed)
            by_network[measured] = users.select(measured).ranks(network, exclude_seen=True)
    is_better = ndcg(by_network, _CUTOFF) > ndcg(by_sum, _CUTOFF) if len(users) else False
    return is_better, users.metrics(by_network if is_better else by_sum)


class _Correction(nn.Module):
    """The network while it is fitted; the correction is 0 at first."""

    def __init__(self, scale: np.ndarray) -> None:
        super().__init__()
        self.first = nn.Linear(N_FEATURES, _HIDDEN_UNITS)
        self.second = nn.Linear(_HIDDEN_UNITS, _HIDDEN_UNITS)
        self.last = nn.Parameter(torch.zeros(_HIDDEN_UNITS))
        self.linear = nn.Parameter(torch.from_numpy(FusionNetwork.weighted_sum().linear * scale))

    def forward(self, features: Tensor) -> Tensor:
        hidden = torch.relu(self.second(torch.relu(self.first(features))))
        return features @ self.linear + hidden @ self.last

    def network(self, center: np.ndarray, scale: np.ndarray) -> FusionNetwork:
        def array(tensor: Tensor) -> np.ndarray:
            return tensor.detach().numpy().copy()

        return FusionNetwork(
            center=center,
            scale=scale,
            linear=array(self.linear),
            first=array(self.first.weight.T),
            first_bias=array(self.first.bias),
            second=array(self.second.weight.T),
            second_bias=array(self.second.bias),
            last=array(self.last),
            seen=np.array(0, dtype=np.float32),
        )


def _fitted(users: _Users, seed: int) -> FusionNetwork:
    center, scale = _center_and_scale(users)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _Correction(scale)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY, fused=True
    )
    batches = list(_batches(users, seed))
    for step, rows in enumerate(batches):
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * (1 - step / len(batches))
        part = users.select(rows)
        features = torch.from_numpy((part.candidates.features() - center) / scale)
        learned = torch.from_numpy(part.learned)
        logp = model(features).masked_fill(~learned, -torch.inf).log_softmax(1)
        loss = -logp[torch.from_numpy(part.is_target)].sum() / len(rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.network(center, scale)


def _batches(users: _Users, seed: int) -> Iterator[np.ndarray]:
    """Rows of users with a target to learn from, every one once a pass."""
    rows = np.flatnonzero(users.is_target.any(axis=1))
    random = np.random.default_rng(seed)
    for _ in range(_PASSES):
        shuffled = random.permutation(rows)
        for start in range(0, len(shuffled), _USERS_AT_ONCE):
            yield shuffled[start : start + _USERS_AT_ONCE]


def _center_and_scale(users: _Users) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation float32[`N_FEATURES`] of what a network is fitted to."""
    count, total, squares = 0, np.zeros(N_FEATURES), np.zeros(N_FEATURES)
    for start in range(0, len(users), _USERS_AT_ONCE):
        part = users.select(np.arange(len(users))[start : start + _USERS_AT_ONCE])
        features = part.candidates.features()[part.learned].astype(np.float64)
        count += len(features)
        total += features.sum(axis=0)
        squares += np.square(features).sum(axis=0)
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
    constant = deviation < 1e-6
    return mean.astype(np.float32), np.where(constant, 1, deviation).astype(np.float32)


def _with_seen_weight(users: _Users, network: FusionNetwork) -> FusionNetwork:
    """With the weight of seen items that gives the highest NDCG@10 where these are candidates."""
    if not len(users):
        return network
    tried = [replace(network, seen=np.array(seen, dtype=np.float32)) for seen in SEEN_WEIGHTS]
    return max(tried, key=lambda changed: ndcg(users.ranks(changed, exclude_seen=False), _CUTOFF))


def fused_ranks(
    candidates: ScoredCandidates, targets: np.ndarray, network: FusionNetwork, exclude_seen: bool
) -> np.ndarray:
    """Ranks int[n] of the targets among the candidates, from 1; 0 where they are none.

    Args:
        candidates: of n users.
        targets: int[n], item indices.
        network: that makes one score of all.
        exclude_seen: items of the user's own history are no candidates.
    """
    scores = candidates.fused(network, exclude_seen)
    is_target = candidates.items == targets[:, None]
    of_target = np.where(is_target, scores, -np.inf).max(axis=1, initial=-np.inf)
    # As in the recommendations, the lower of two items of equal score comes first.
    before = (scores > of_target[:, None]) | (
        (scores == of_target[:, None]) & (candidates.items < targets[:, None])
    )
    return np.where(of_target > -np.inf, 1 + before.sum(axis=1), NOT_RECOMMENDED)
