import torch
from torch import nn

from tiger_pipeline.quantization.vae.network import build_autoencoder


def test_the_decoder_mirrors_the_encoder():
    encoder, decoder = build_autoencoder(20, (16, 8), 4)
    shapes = [
        [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Linear)]
        for network in (encoder, decoder)
    ]
    assert shapes == [[(16, 20), (8, 16), (4, 8)], [(8, 4), (16, 8), (20, 16)]]
    assert not any(name.endswith("bias") for name, _ in encoder.named_parameters())


def test_an_encoder_without_hidden_layers_is_linear():
    encoder, _ = build_autoencoder(6, (), 3)
    first, second = torch.randn(2, 5, 6)
    torch.testing.assert_close(encoder(first + 2 * second), encoder(first) + 2 * encoder(second))
