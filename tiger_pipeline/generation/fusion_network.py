"""From the scores of a candidate to one: a small network that knows how sure each score is.

A weighted sum of log-probabilities is a product of experts, which trusts each score alike for all
users. But a count of transitions tells much after an item with many interactions and nothing after
one with few; and where one score is sure and the others are not, a mixture is better than a
product. So the network sees, for each score, how far the candidate is behind the best one, as a
logarithm and as a ratio, and how probable that best one is. It is fitted on validation targets
(`evaluation.fusion_fitting`).

It does not see how many interactions a candidate has: by that, items that came after the training,
with none at all, would be unlike anything that it was fitted to.
"""

from dataclasses import dataclass, fields

import numpy as np

SCORES = ("codes", "dense", "transitions", "text")
"""What a candidate is scored by, in the order of all arrays of scores."""
N_FEATURES = 3 * len(SCORES)
_FARTHEST_BEHIND = -50.0


def fusion_features(logp: np.ndarray, best: np.ndarray) -> np.ndarray:
    """What the network reads of some users' candidates.

    Args:
        logp: float32[n, m, 4], log-probabilities by each of `SCORES`.
        best: float32[n, 4], the highest of an unseen item by each score.

    Returns:
        float32[n, m, `N_FEATURES`], the first four of them the logarithms of how far behind.
    """
    behind = np.maximum(logp - best[:, None], _FARTHEST_BEHIND)
    features = np.empty((*logp.shape[:2], N_FEATURES), dtype=np.float32)
    features[..., 0:4] = behind
    features[..., 4:8] = np.exp(np.minimum(behind, 0))
    features[..., 8:12] = best[:, None]
    return features


@dataclass(frozen=True)
class FusionNetwork:
    """A linear score plus a correction by two hidden layers of rectified units.

    Attributes:
        center: float32[`N_FEATURES`], subtracted from the features.
        scale: float32[`N_FEATURES`], by which they are then divided.
        linear: float32[`N_FEATURES`].
        first: float32[`N_FEATURES`, h].
        first_bias: float32[h].
        second: float32[h, h].
        second_bias: float32[h].
        last: float32[h].
        seen: float32[], added to an item of the user's own history where these are candidates.
    """

    center: np.ndarray
    scale: np.ndarray
    linear: np.ndarray
    first: np.ndarray
    first_bias: np.ndarray
    second: np.ndarray
    second_bias: np.ndarray
    last: np.ndarray
    seen: np.ndarray

    @classmethod
    def weighted_sum(
        cls,
        codes: float = 0.3,
        dense: float = 1.0,
        transitions: float = 0.5,
        text: float = 0.3,
        seen: float = 0.0,
    ) -> "FusionNetwork":
        """One without a correction, that ranks by a weighted sum of the log-probabilities."""
        weights = np.zeros(N_FEATURES, dtype=np.float32)
        weights[:4] = codes, dense, transitions, text
        nothing = np.zeros(0, dtype=np.float32)
        return cls(
            center=np.zeros(N_FEATURES, dtype=np.float32),
            scale=np.ones(N_FEATURES, dtype=np.float32),
            linear=weights,
            first=np.zeros((N_FEATURES, 0), dtype=np.float32),
            first_bias=nothing,
            second=np.zeros((0, 0), dtype=np.float32),
            second_bias=nothing,
            last=nothing,
            seen=np.array(seen, dtype=np.float32),
        )

    def score(self, features: np.ndarray) -> np.ndarray:
        """float32[...] of candidates with features float32[..., `N_FEATURES`]."""
        x = (features - self.center) / self.scale
        hidden = np.maximum(x @ self.first + self.first_bias, 0)
        hidden = np.maximum(hidden @ self.second + self.second_bias, 0)
        return x @ self.linear + hidden @ self.last

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
