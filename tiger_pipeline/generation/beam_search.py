"""Batched beam search over the codes of items, constrained to the semantic IDs that exist.

A beam's score is the sum of its codes' log-probabilities, each under the full softmax of its
level: the probability that the model itself gives to the semantic ID, not renormalized over the
codes that exist. What does not exist is masked before the best are chosen, so no beam is lost to
it. An item whose codes are its own is finished after them; only beams that share their codes with
other items take one more step, for the suffix.

Ties go to finished items, then to the prefix that ranked higher, then to the lower code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tiger_pipeline.generation.exclusion import ClosedStates, close
from tiger_pipeline.generation.generator import Prefixes
from tiger_pipeline.generation.trie_tensors import Candidates, TrieTensors
from tiger_pipeline.semantic_ids.trie import NO_ITEM, NO_STATE, ROOT


@dataclass(frozen=True)
class BeamResult:
    """The beams of each user, best first.

    Attributes:
        items: int64[users, beams], `NO_ITEM` where there are fewer, or the beam is no item.
        logp: float32[users, beams], log-probability of the semantic ID; −inf where there are
            fewer.
        invalid_share: share of the beams that are no item's semantic ID; 0 where constrained.
    """

    items: Tensor
    logp: Tensor
    invalid_share: float


@dataclass(frozen=True)
class _Beams:
    """Where the beams stand; every field is [users, m], best first.

    Attributes:
        logp: float32, of all codes so far; −inf for a beam that does not exist.
        states: int64, state of the trie, or `NO_STATE`.
        parents: int64, which of the generator's latest prefixes a beam continues.
        codes: int64, the code that it adds to that prefix.
    """

    logp: Tensor
    states: Tensor
    parents: Tensor
    codes: Tensor

    def take(self, columns: Tensor, logp: Tensor) -> "_Beams":
        """The beams at `columns` (int64[users, k]), with `logp` in the place of their own."""
        states, parents, codes = (
            field.gather(1, columns) for field in (self.states, self.parents, self.codes)
        )
        return _Beams(logp, states, parents, codes)

    def beside(self, right: "_Beams") -> "_Beams":
        """These beams and, to the right of them, `right`."""
        return _Beams(
            torch.cat([self.logp, right.logp], dim=1),
            torch.cat([self.states, right.states], dim=1),
            torch.cat([self.parents, right.parents], dim=1),
            torch.cat([self.codes, right.codes], dim=1),
        )

    def best(self, k: int) -> "_Beams":
        """At most k of them, in descending order."""
        logp, columns = largest(self.logp, min(k, self.logp.shape[1]))
        return self.take(columns, logp)


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row, in descending order; of equal ones the leftmost first.

    `torch.topk` promises nothing about equal values. Here every value gets a key of its own: its
    bits, which order as integers as the floats do, then its column, counted from the right.

    Args:
        values: float32[rows, n], n < 2³², no NaN.
        k: at most n.

    Returns:
        Values float32[rows, k] and columns int64[rows, k].
    """
    n = values.shape[1]
    bits = (values + 0.0).view(torch.int32)  # adding 0 makes −0 the same as 0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    from_right = torch.arange(n - 1, -1, -1, device=values.device)
    keys = torch.topk((ordered << 32) | from_right, k, dim=1).values
    columns = n - 1 - (keys & 0xFFFFFFFF)
    return values.gather(1, columns), columns


def widths_by_depth(beams: int | Sequence[int], depth: int) -> list[int]:
    """How many beams are kept after each of `depth` codes; the last given width holds on."""
    given = [beams] if isinstance(beams, int) else list(beams)
    return [given[min(place, len(given) - 1)] for place in range(depth)]


def beam_search(
    prefixes: Prefixes,
    trie: TrieTensors,
    beams: int | Sequence[int],
    closed: ClosedStates | None = None,
    constrained: bool = True,
) -> BeamResult:
    """Find the most probable items of each user, all users and beams in one batch.

    With at least as many beams as items, the result is the exact ranking of all items.

    Args:
        prefixes: one empty prefix a user, as `Generator.encode` returns.
        trie: the semantic IDs that exist, on the prefixes' device.
        beams: width of the search; or widths after the first code, the second, and so on.
        closed: what must not be found (`exclusion.closed_states`); only where constrained.
        constrained: False lets the model choose any code, to see how often it is no item's.
    """
    if closed is not None and not constrained:
        raise ValueError("A search without constraints cannot exclude items.")
    widths = widths_by_depth(beams, trie.depth)
    origin = torch.full((len(prefixes.logp), 1), ROOT, device=trie.device)
    standing = _Beams(origin.float(), origin, origin, origin)
    for depth in range(trie.depth):
        finished, growing = _split(standing, trie, depth)
        if growing.logp.shape[1] == 0:
            break
        if depth > 0:
            prefixes = prefixes.extend(growing.parents, growing.codes)
        grown = _grow(growing, prefixes.logp, trie, depth, closed, constrained)
        standing = (grown if finished is None else finished.beside(grown)).best(widths[depth])
    return _result(standing, trie, widths[-1])


def _split(standing: _Beams, trie: TrieTensors, depth: int) -> tuple[_Beams | None, _Beams]:
    """Part the items that end at `depth` from the beams that go on.

    Returns:
        The beams with those that go on at −inf, or None if nothing ends here; and those that go
        on, moved to the front of as few columns as the user with the most of them needs.
    """
    if not trie.ends_at[depth]:
        return None, standing
    alive = (standing.states != NO_STATE) & (standing.logp > -torch.inf)
    goes_on = alive & (trie.item_of_state[standing.states.clamp(min=ROOT)] == NO_ITEM)
    ended = standing.logp.masked_fill(goes_on, -torch.inf)
    finished = _Beams(ended, standing.states, standing.parents, standing.codes)
    width = int(goes_on.sum(1).max())
    columns = torch.argsort((~goes_on).byte(), dim=1, stable=True)[:, :width]
    logp = standing.logp.masked_fill(~goes_on, -torch.inf).gather(1, columns)
    return finished, standing.take(columns, logp)


def _grow(
    growing: _Beams,
    logp: Tensor,
    trie: TrieTensors,
    depth: int,
    closed: ClosedStates | None,
    constrained: bool,
) -> _Beams:
    """Continue each beam by each code (logp: float32[users, m, codes]) that may follow it."""
    if constrained:
        candidates = trie.candidates(growing.states, depth, logp)
    else:
        codes = torch.arange(logp.shape[-1], device=trie.device).expand_as(logp)
        states = growing.states.unsqueeze(-1).expand_as(logp)
        candidates = Candidates(logp, trie.follow(states, codes), codes)
    if closed is not None:
        close(candidates.logp, growing.states, depth, closed, trie)
    shape = candidates.logp.shape
    parents = torch.arange(shape[1], device=trie.device).unsqueeze(-1)
    return _Beams(
        (growing.logp.unsqueeze(-1) + candidates.logp).flatten(1),
        candidates.states.flatten(1).long(),
        parents.expand(shape).flatten(1),
        candidates.codes.expand(shape).flatten(1),
    )


def _result(standing: _Beams, trie: TrieTensors, beams: int) -> BeamResult:
    exists = standing.logp > -torch.inf
    valid = exists & (standing.states != NO_STATE)
    items = trie.item_of_state[standing.states.clamp(min=ROOT)].masked_fill(~valid, NO_ITEM)
    invalid = (exists & ~valid).sum() / exists.sum().clamp(min=1)
    missing = beams - items.shape[1]
    return BeamResult(
        F.pad(items, (0, missing), value=NO_ITEM),
        F.pad(standing.logp, (0, missing), value=-torch.inf),
        float(invalid),
    )
