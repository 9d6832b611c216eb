"""Constrained beam search: ours beside `transformers`' generate with `prefix_allowed_tokens_fn`.

A made-up catalog of Beauty's size (12,101 items, 3 × 256 codes, some items with shared codes),
users with 20 items each, fresh weights, 20 beams. Two pairs of networks of the same size on the
same tokens: our decoder and GPT-2; our T5 and theirs, of the TIGER paper's size (4 + 4 layers, 6
heads of 64, MLP 1,024), the same network weight for weight. On a processor most of their time is
that of the network, which no search makes faster; so our default generator, `item_decoder`, whose
beams cost no attention, is set against their T5 too, which has about as many parameters.
Times are of recommending as a whole, history included; of all runs, after one that does not count,
the best counts. `transformers` gets `--theirs` users in one batch.
Then the search alone, its network replaced by ready-made log-probabilities: what the trie, the
masks and the choice of the best cost a user.

    python -m benchmarks.beam_search [--users 512] [--theirs 16] [--beams 20] [--threads N]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import choose_device
from tiger_pipeline.generation.beam_search import beam_search
from tiger_pipeline.generation.config import DecoderConfig, ItemDecoderConfig, T5Config
from tiger_pipeline.generation.exclusion import closed_states
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.generation.tokens import BEGIN, PAD, ItemTokenizer
from tiger_pipeline.generation.trie_tensors import DenseTrie, SparseTrie
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

HISTORY_ITEMS = 20
CONFIG = DecoderConfig(blocks=4, width=128, heads=4, history_items=HISTORY_ITEMS)
T5_CONFIG = T5Config(history_items=HISTORY_ITEMS, user_tokens=0)
ITEM_CONFIG = ItemDecoderConfig(history_items=HISTORY_ITEMS)
TEXT_WIDTH = 384


def made_up_catalog(n_items: int = 12_101, size: int = 256, seed: int = 0) -> SemanticIds:
    """Codes as uneven as those of clustered texts: few second codes below each first one."""
    rng = np.random.default_rng(seed)
    first = rng.choice(size, n_items, p=rng.dirichlet(np.full(size, 2.0)))
    second = (first * 31 + rng.geometric(0.03, n_items)) % size
    third = rng.integers(size, size=n_items)
    codes = np.column_stack([first, second, third])
    shared = rng.permutation(n_items)[: n_items // 30]
    codes[shared] = codes[rng.integers(n_items, size=len(shared))]
    return SemanticIds.from_codes([str(i) for i in range(n_items)], codes, (size,) * 3)


def made_up_histories(semantic_ids: SemanticIds, n_users: int, seed: int = 1) -> Histories:
    """Histories of items without a suffix, so that all are of the same number of tokens."""
    items = np.flatnonzero(~semantic_ids.needs_suffix)
    rng = np.random.default_rng(seed)
    offsets = np.arange(n_users + 1, dtype=np.int64) * HISTORY_ITEMS
    chosen = rng.choice(items, n_users * HISTORY_ITEMS).astype(np.int32)
    return Histories(np.arange(n_users, dtype=np.int32), offsets, chosen)


def seconds_of(work: Callable[[], object]) -> float:
    """Time of one call."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


class AllowedTokens:
    """What may follow a prefix, as a dict of lists: the usual `prefix_allowed_tokens_fn`."""

    def __init__(self, tokenizer: ItemTokenizer, end: int, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._end = end
        following: dict[tuple[int, ...], set[int]] = {}
        for item, length in enumerate(tokenizer.item_lengths):
            tokens = tuple(int(token) for token in tokenizer.tokens_of_item[item, :length])
            for place, token in enumerate(tokens):
                following.setdefault(tokens[:place], set()).add(token)
        self._following = {prefix: sorted(tokens) for prefix, tokens in following.items()}

    def __call__(self, batch_id: int, tokens: Tensor) -> list[int]:
        """Allowed next tokens after the prompt."""
        prefix = tuple(tokens[self._prompt_tokens :].tolist())
        return self._following.get(prefix, [self._end])


@dataclass
class Theirs:
    """`transformers`' networks over our tokens; one token more ends a sequence."""

    tokenizer: ItemTokenizer
    device: torch.device

    @property
    def end(self) -> int:
        """The token that ends an item without suffix."""
        return self.tokenizer.vocabulary.size

    def prompts(self, histories: Histories) -> Tensor:
        """int64[users, tokens]."""
        sequences = self.tokenizer.tokenize(histories.items, histories.offsets)
        tokens = torch.from_numpy(sequences.tokens.astype(np.int64)).view(len(histories), -1)
        return tokens.to(self.device)

    def gpt2(self) -> torch.nn.Module:
        """GPT-2 with as many blocks, heads and as wide as our decoder."""
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            vocab_size=self.end + 1,
            n_positions=128,
            n_embd=CONFIG.width,
            n_layer=CONFIG.blocks,
            n_head=CONFIG.heads,
            bos_token_id=BEGIN,
            eos_token_id=self.end,
            pad_token_id=PAD,
        )
        return GPT2LMHeadModel(config).eval().to(self.device)

    def t5(self) -> torch.nn.Module:
        """T5 of the size of ours."""
        from transformers import T5Config as TheirConfig
        from transformers import T5ForConditionalGeneration

        config = TheirConfig(
            vocab_size=self.end + 1,
            d_model=T5_CONFIG.width,
            d_kv=T5_CONFIG.head_width,
            d_ff=T5_CONFIG.mlp_width,
            num_layers=T5_CONFIG.layers,
            num_heads=T5_CONFIG.heads,
            eos_token_id=self.end,
            pad_token_id=PAD,
            decoder_start_token_id=PAD,
        )
        return T5ForConditionalGeneration(config).eval().to(self.device)

    @torch.inference_mode()
    def generate(
        self, model: torch.nn.Module, prompts: Tensor, beams: int, allowed: object
    ) -> None:
        """Beams for all prompts in one batch."""
        model.generate(  # type: ignore[operator]
            prompts,
            attention_mask=torch.ones_like(prompts),
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=len(self.tokenizer.vocabulary.codebook_sizes),
            do_sample=False,
            prefix_allowed_tokens_fn=allowed,
        )


def with_size(name: str, network: torch.nn.Module) -> str:
    """The name and the number of parameters."""
    millions = sum(weights.numel() for weights in network.parameters()) / 1e6
    return f"{name} ({millions:.1f} M)"


@dataclass
class ReadyMade:
    """Prefixes whose log-probabilities cost nothing: always the same tensors."""

    by_level: list[Tensor]
    level: int = 0

    @property
    def logp(self) -> Tensor:
        """float32[users, beams, codes] of the level."""
        return self.by_level[self.level]

    def extend(self, parents: Tensor, codes: Tensor) -> "ReadyMade":
        """As many as are asked for."""
        longer = ReadyMade(list(self.by_level), self.level + 1)
        longer.by_level[longer.level] = longer.logp[:, : parents.shape[1]]
        return longer


def search_alone(trie: SemanticIdTrie, histories: Histories, beams: int, repeats: int) -> None:
    """Print microseconds a user of the search without its network."""
    device = choose_device().device
    generator = torch.Generator(device).manual_seed(0)
    for form in (DenseTrie, SparseTrie):
        tensors = form(trie, device)
        by_level = [
            torch.randn(
                len(histories), beams if level else 1, size, generator=generator, device=device
            )
            .mul(3)
            .log_softmax(-1)
            for level, size in enumerate(trie.codebook_sizes)
        ]

        def kept(tensors: DenseTrie | SparseTrie = tensors, ready: list[Tensor] = by_level) -> None:
            beam_search(ReadyMade(ready), tensors, beams)

        def masked(
            tensors: DenseTrie | SparseTrie = tensors, ready: list[Tensor] = by_level
        ) -> None:
            beam_search(ReadyMade(ready), tensors, beams, closed_states(histories, tensors))

        for name, work in (("seen kept", kept), ("seen masked", masked)):
            work()
            best = min(seconds_of(work) for _ in range(repeats))
            per_user = best / len(histories) * 1e6
            print(f"search alone, {form.__name__:10} {name:11} {per_user:8.1f} µs a user")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=512)
    parser.add_argument("--theirs", type=int, default=16, help="users for transformers")
    parser.add_argument("--beams", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    semantic_ids = made_up_catalog()
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    states = np.diff(trie.level_starts).tolist()
    print(f"{len(semantic_ids.item_ids):,} items, trie states by depth {states}")
    device = choose_device()
    print(f"{device}, {torch.get_num_threads()} threads, {arguments.beams} beams")

    histories = made_up_histories(semantic_ids, arguments.users)

    text = np.random.default_rng(2).normal(size=(len(semantic_ids.item_ids), TEXT_WIDTH))
    text = text.astype(np.float32)

    def our_rate(model: Generator) -> float:
        recommender = GeneratorRecommender(model, trie, arguments.beams, arguments.batch, device)

        def recommend() -> None:
            recommender.recommend(histories, arguments.beams, exclude_seen=False)

        recommend()
        return arguments.users / min(seconds_of(recommend) for _ in range(arguments.repeats))

    theirs = Theirs(ItemTokenizer(semantic_ids), device.device)
    prompts = theirs.prompts(made_up_histories(semantic_ids, arguments.theirs))
    for our_configs, name, network, prompt_tokens in (
        ((CONFIG,), "GPT-2", theirs.gpt2(), prompts.shape[1]),
        ((T5_CONFIG, ITEM_CONFIG), "T5", theirs.t5(), 1),
    ):
        allowed = AllowedTokens(theirs.tokenizer, theirs.end, prompt_tokens)

        def generate(network: torch.nn.Module = network, allowed: object = allowed) -> None:
            theirs.generate(network, prompts, arguments.beams, allowed)

        generate()
        rate = arguments.theirs / min(seconds_of(generate) for _ in range(arguments.repeats))
        print(f"{with_size(f'transformers {name}', network):28} {rate:10,.1f} users a second")
        for our_config in our_configs:
            model = build_generator(our_config, semantic_ids, 0, text)
            ours = our_rate(model)
            shown = with_size(f"ours, {our_config.kind}", model)
            times = f"{ours / rate:,.1f} × transformers {name}"
            print(f"{shown:28} {ours:10,.1f} users a second, {times}")

    search_alone(
        trie, made_up_histories(semantic_ids, arguments.batch), arguments.beams, arguments.repeats
    )


if __name__ == "__main__":
    main()
