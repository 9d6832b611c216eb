import numpy as np
import pytest
import torch

from tiger_pipeline.quantization.config import ResidualVaeConfig
from tiger_pipeline.quantization.vae.evaluation import badness, evaluate_codes
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder


def test_figures_are_those_by_hand():
    config = ResidualVaeConfig(levels=2, codewords=4, hidden=(), code_dimension=2, normalize="none")
    model = QuantizingAutoencoder(config, 2)
    with torch.no_grad():
        model.encoder[0].weight.copy_(torch.eye(2))
        model.decoder[0].weight.copy_(torch.eye(2))
        model.codebook(0).codewords.copy_(torch.tensor([[0.0, 0], [10, 0], [0, 10], [99, 99]]))
        model.codebook(1).codewords.copy_(torch.tensor([[0.0, 0], [1, 0], [50, 50], [60, 60]]))
    vectors = torch.tensor([[0.0, 0], [1, 0], [10, 0], [10, 0], [0, 12], [1, 0]])
    figures = evaluate_codes(model, vectors)
    # Codes: (0, 0), (0, 1), (1, 0), (1, 0), (2, 0), (0, 1); only (0, 12) is not exact.
    shares = np.array([3, 2, 1]) / 6
    assert figures["perplexity"][0] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert figures["utilization"] == [0.75, 0.5]
    assert figures["colliding_items"] == 4
    assert figures["reconstruction_mse"] == pytest.approx(4 / 6)


def test_each_criterion_prefers_what_it_says():
    early = {"perplexity": [9.0, 3.0], "colliding_items": 5, "reconstruction_mse": 0.4}
    late = {"perplexity": [7.0, 7.0], "colliding_items": 8, "reconstruction_mse": 0.3}
    assert badness(late, "perplexity") < badness(early, "perplexity")
    assert badness(late, "reconstruction") < badness(early, "reconstruction")
    assert badness(early, "collisions") < badness(late, "collisions")
