"""Whether text encoders can be had, without asking the network or loading one."""

import os
from pathlib import Path

from tiger_pipeline.diagnosis.finding import Finding
from tiger_pipeline.encoding.config import EncoderConfig
from tiger_pipeline.encoding.model_source import find_model
from tiger_pipeline.errors import ConfigurationError

_AREA = "Encoders"


def check_encoder(config: EncoderConfig) -> Finding:
    """Whether an encoder's files are here."""
    try:
        source = find_model(config.name)
    except ConfigurationError as error:
        return Finding(_AREA, config.name, "not found", "error", str(error))
    if source is None:
        return _to_be_fetched(config.name)
    if source.revision is not None:
        return Finding(_AREA, config.name, f"in the local cache, commit {source.revision[:8]}")
    if not any(Path(source.location).rglob("*.safetensors")):
        advice = (
            "Weights are read from safetensors files only. Save the model with `save_pretrained`, "
            "or point model.encoder.name at another folder."
        )
        found = f"{source.location} holds no safetensors file"
        return Finding(_AREA, config.name, found, "error", advice)
    return Finding(_AREA, config.name, source.location)


def _to_be_fetched(name: str) -> Finding:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    advice = f"Fetch it where there is a network with `hf download {name}`."
    if offline:
        found = "not in the local cache, and HF_HUB_OFFLINE forbids to fetch it"
        return Finding(_AREA, name, found, "error", advice)
    found = "not in the local cache: the first run fetches it from the Hugging Face hub"
    return Finding(_AREA, name, found, "warning", advice)
