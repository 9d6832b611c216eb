"""RQ-VAE and product VAE: codes of what a trained encoder makes of the vectors."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tiger_pipeline.compute_device import choose_device, explain_out_of_memory
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.codebook_tensors import (
    damaged_codebook,
    name_codebooks,
    read_codebooks,
)
from tiger_pipeline.quantization.config import ProductVaeConfig, ResidualVaeConfig
from tiger_pipeline.quantization.greedy_codes import (
    assign_by_block,
    product_codes,
    residual_codes,
)
from tiger_pipeline.quantization.training_history import TrainingHistory
from tiger_pipeline.quantization.vae.initialization import scale_latents, start_codebooks
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vae.training import train_autoencoder
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_vectors,
    check_vectors_to_fit,
    scale_rows,
)


@dataclass(frozen=True)
class VaeQuantizer:
    """A trained autoencoder: the nearest codewords of an encoded vector are its codes.

    Networks run in float64 and their results are rounded to float32, so that the rounding of a
    batch, which depends on its other rows, does not reach the codes.

    Attributes:
        config: how it was fitted.
        encoder: by layer, float32[outputs, inputs].
        decoder: the same.
        codebooks: a float32[codewords, d_level] for each level, as they are used.
        history: of its training.
    """

    config: ResidualVaeConfig | ProductVaeConfig
    encoder: tuple[np.ndarray, ...]
    decoder: tuple[np.ndarray, ...]
    codebooks: tuple[np.ndarray, ...]
    history: TrainingHistory | None = None

    @classmethod
    @explain_out_of_memory("Lower model.quantizer.batch_size, or set TIGER_DEVICE=cpu")
    def fit(
        cls,
        config: ResidualVaeConfig | ProductVaeConfig,
        vectors: np.ndarray,
        progress: Progress,
        work_directory: Path | None = None,
    ) -> "VaeQuantizer":
        """Train on all vectors.

        Args:
            config: networks, codebooks, training, seed.
            vectors: float32[n, d].
            progress: told every epoch.
            work_directory: where a killed training is resumed from; see `train_autoencoder`.

        Raises:
            InputError: the vectors are not a finite float32 matrix.
            ConfigurationError: fewer distinct vectors than codewords, the loss is not finite, or
                the memory does not suffice.
            ArtifactError: the training state could not be written.
        """
        check_vectors_to_fit(vectors)
        check_enough_distinct(vectors, config.codewords, level=0)
        device = choose_device().device
        prepared = scale_rows(vectors, config.normalize)
        on_device = torch.from_numpy(prepared).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = QuantizingAutoencoder(config, vectors.shape[1]).to(device)
        if config.kmeans_initialization:
            start_codebooks(model, on_device, config.seed)
        else:
            scale_latents(model, on_device)
        history = train_autoencoder(model, on_device, progress, work_directory)
        return cls._of_model(model, history)

    @classmethod
    def _of_model(cls, model: QuantizingAutoencoder, history: TrainingHistory) -> "VaeQuantizer":
        def array(tensor: torch.Tensor) -> np.ndarray:
            return tensor.detach().cpu().numpy().copy()

        config = model.config
        codebooks = tuple(array(model.codebook(level)()) for level in range(config.levels))
        encoder, decoder = (
            tuple(array(weight) for weight in network.parameters())
            for network in (model.encoder, model.decoder)
        )
        return cls(config, encoder, decoder, codebooks, history)

    @classmethod
    def from_tensors(
        cls,
        config: ResidualVaeConfig | ProductVaeConfig,
        tensors: dict[str, np.ndarray],
    ) -> "VaeQuantizer":
        """The inverse of `tensors`; the history is kept elsewhere.

        Raises:
            ArtifactError: a tensor is missing or has another shape than `config` says.
        """
        width = config.code_dimension
        if isinstance(config, ProductVaeConfig):
            width //= config.levels
        codebooks = read_codebooks(tensors, config.levels, config.codewords)
        for level, codebook in enumerate(codebooks):
            if codebook.shape[1] != width:
                raise damaged_codebook(level, config.codewords)
        first = tensors.get("encoder_0", np.empty((0, 0)))
        widths = [first.shape[-1], *config.hidden, config.code_dimension]
        encoder = _read_layers(tensors, "encoder", widths)
        decoder = _read_layers(tensors, "decoder", widths[::-1])
        return cls(config, encoder, decoder, codebooks)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codewords of each level."""
        return tuple(map(len, self.codebooks))

    @property
    def dimension(self) -> int:
        """Dimension d of the vectors."""
        return self.encoder[0].shape[1]

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` (float32[n, d]) as the decoder gives them: normalized if so configured."""
        return scale_rows(vectors, self.config.normalize)

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]), each a function of its row alone."""
        check_vectors(vectors, self.dimension)
        choose = product_codes if isinstance(self.config, ProductVaeConfig) else residual_codes
        return assign_by_block(
            vectors,
            self.config.levels,
            lambda block: choose(_run_mlp(self.encoder, self.prepare(block)), self.codebooks),
        )

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """Decoded vectors float32[n, d] from the first l codes, int32[n, l]; zeros for others."""
        known = [self.codebooks[level][codes[:, level]] for level in range(codes.shape[1])]
        quantized = np.zeros((len(codes), self.config.code_dimension), dtype=np.float32)
        if isinstance(self.config, ProductVaeConfig):
            described = np.concatenate(known, axis=1)
            quantized[:, : described.shape[1]] = described
        else:
            quantized += sum(known)
        decoded = _run_mlp(self.decoder, quantized)
        return scale_rows(decoded, self.config.normalize)

    def tensors(self) -> dict[str, np.ndarray]:
        """Layers and codebooks, by name."""
        layers = {
            f"{name}_{index}": weight
            for name, network in (("encoder", self.encoder), ("decoder", self.decoder))
            for index, weight in enumerate(network)
        }
        return {**layers, **name_codebooks(self.codebooks)}


def _run_mlp(layers: tuple[np.ndarray, ...], inputs: np.ndarray) -> np.ndarray:
    """float32[n, outputs] of layers with SiLU between them, computed in float64."""
    device = choose_device().device
    activations = torch.from_numpy(inputs).to(device, torch.float64)
    for index, weight in enumerate(layers):
        if index:
            activations = torch.nn.functional.silu(activations)
        activations = activations @ torch.from_numpy(weight).to(device, torch.float64).T
    return activations.to(torch.float32).cpu().numpy()


def _read_layers(
    tensors: Mapping[str, np.ndarray], name: str, widths: list[int]
) -> tuple[np.ndarray, ...]:
    layers = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layer = tensors.get(f"{name}_{index}")
        if layer is None or layer.shape != (outputs, inputs) or not inputs:
            raise ArtifactError(
                f"Layer {index} of the {name} is missing or is not {outputs} × {inputs}. "
                "Materialize the asset codebooks again."
            )
        layers.append(layer)
    return tuple(layers)
