"""The resolved settings of a dataset, or of a dataset and a variant, in four sections."""

from collections.abc import Mapping
from typing import Any

import pydantic

from tiger_pipeline.catalog.config import DataConfig
from tiger_pipeline.encoding.config import EncoderConfig, SentenceTransformerConfig
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.generation.config import GeneratorConfig, ItemDecoderConfig, TrainingConfig
from tiger_pipeline.quantization.config import QuantizerConfig, ResidualKMeansConfig
from tiger_pipeline.strict_config import StrictConfig


class ModelConfig(StrictConfig):
    """The three models of the pipeline: text encoder, quantizer, generator."""

    encoder: EncoderConfig = SentenceTransformerConfig()
    quantizer: QuantizerConfig = ResidualKMeansConfig()
    generator: GeneratorConfig = ItemDecoderConfig()


class Settings(StrictConfig):
    """All that decides what a run computes."""

    data: DataConfig
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


def parse_settings(values: dict[str, Any], origin: str) -> Settings:
    """Check `values` against the settings.

    Args:
        values: nested mapping with the sections data, model, training, evaluation.
        origin: the files it was read from, for the error message.

    Raises:
        ConfigurationError: an unknown key or a value out of range, each named with its place.
    """
    try:
        return Settings.model_validate(values)
    except pydantic.ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            f" (given: {problem['input']!r})"
            for problem in error.errors()
        )
        raise ConfigurationError(f"The settings in {origin} are not valid:\n{problems}") from error


def move_seeds(settings: Settings, by: int) -> Settings:
    """The settings of the same run with other random numbers: its repeat number `by`.

    Both seeds that a variant has are moved, that of the quantizer and that of the training, so
    that the spread between repeats is that of the whole run and not of its last stage alone.
    """
    quantizer = settings.model.quantizer
    quantizer = quantizer.model_copy(update={"seed": quantizer.seed + by})
    training = settings.training.model_copy(update={"seed": settings.training.seed + by})
    model = settings.model.model_copy(update={"quantizer": quantizer})
    return settings.model_copy(update={"model": model, "training": training})


def without_seeds(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What repeats of a run have in common: its dumped settings without `move_seeds`' seeds."""
    model = {**settings["model"]}
    model["quantizer"] = {k: v for k, v in model["quantizer"].items() if k != "seed"}
    training = {k: v for k, v in settings["training"].items() if k != "seed"}
    return {**settings, "model": model, "training": training}
