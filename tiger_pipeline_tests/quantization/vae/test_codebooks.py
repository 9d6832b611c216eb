import numpy as np
import torch

from tiger_pipeline.quantization.vae.codebooks import (
    EmaCodebook,
    LearnedCodebook,
    SimVqCodebook,
    build_codebook,
)

POINTS = torch.arange(12.0).reshape(4, 3)


def test_every_kind_starts_from_given_codewords():
    for kind in ("learned", "ema", "simvq"):
        codebook = build_codebook(kind, 4, 3, ema_decay=0.9)
        codebook.start_from(POINTS)
        torch.testing.assert_close(codebook(), POINTS)


def test_random_codewords_are_about_of_unit_length():
    for kind in ("learned", "ema", "simvq"):
        lengths = build_codebook(kind, 500, 32, ema_decay=0.9)().norm(dim=1)
        assert 0.9 < lengths.mean() < 1.1


def test_averages_move_as_by_hand():
    codebook = EmaCodebook(3, 2, decay=0.9)
    codebook.start_from(torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]))
    codebook.observe(torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 2.0]]), torch.tensor([0, 0, 1]))
    # counts: 0.9 + 0.1·2, 0.9 + 0.1·1, 0.9; sums: 0.1·(4, 0), 0.9·(1, 1) + 0.1·(2, 2), 0.9·(5, 5)
    torch.testing.assert_close(codebook.counts, torch.tensor([1.1, 1.0, 0.9]))
    expected = torch.tensor([[0.4 / 1.1, 0.0], [1.1, 1.1], [5.0, 5.0]])
    torch.testing.assert_close(codebook(), expected)


def test_a_codeword_without_vectors_stays_while_its_average_fades():
    codebook = EmaCodebook(2, 2, decay=0.1)
    codebook.start_from(torch.tensor([[0.0, 0.0], [7.0, 7.0]]))
    for _ in range(60):
        codebook.observe(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(codebook()[1], torch.tensor([7.0, 7.0]), rtol=1e-4, atol=0)


def test_only_unused_codewords_restart():
    unused, onto = torch.tensor([False, True, False, True]), -POINTS
    for codebook in (LearnedCodebook(4, 3), EmaCodebook(4, 3, decay=0.9)):
        codebook.start_from(POINTS)
        codebook.restart(unused, onto)
        torch.testing.assert_close(codebook()[[1, 3]], onto[[1, 3]])
        torch.testing.assert_close(codebook()[[0, 2]], POINTS[[0, 2]])
        codebook.observe(torch.ones(1, 3), torch.tensor([0]))
        torch.testing.assert_close(codebook()[[1, 3]], onto[[1, 3]])


def test_simvq_trains_the_map_alone_and_moves_every_codeword():
    codebook = SimVqCodebook(6, 3)
    frozen = codebook.frozen.clone()
    assert [name for name, _ in codebook.named_parameters()] == ["map"]
    before = codebook().detach()
    optimizer = torch.optim.SGD(codebook.parameters(), lr=0.1)
    (codebook()[2] - torch.ones(3)).square().sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(codebook.frozen, frozen)
    assert ((codebook().detach() - before).norm(dim=1) > 0).all()
    codebook.restart(torch.ones(6, dtype=torch.bool), torch.zeros(6, 3))
    np.testing.assert_array_equal(codebook.frozen, frozen)
