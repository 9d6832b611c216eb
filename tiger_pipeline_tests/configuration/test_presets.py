from pathlib import Path

import pytest

from tiger_pipeline.configuration.presets import Presets, describe
from tiger_pipeline.errors import ConfigurationError

DATASET = """
# A shop
data:
  source: {path: raw}
model:
  quantizer: {kind: residual_kmeans, iterations: 7, levels: 2}
training:
  max_epochs: 9
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("datasets", "variants"):
        (tmp_path / kind).mkdir()
    (tmp_path / "datasets" / "shop.yaml").write_text(DATASET)
    (tmp_path / "variants" / "plain.yaml").write_text("")
    return tmp_path


def write_variant(folder: Path, text: str) -> Presets:
    (folder / "variants" / "mine.yaml").write_text(text)
    return Presets([folder])


def test_every_shipped_combination_resolves():
    presets = Presets()
    for dataset in presets.datasets():
        presets.dataset_settings(dataset)
        for variant in presets.variants():
            presets.settings(dataset, variant)


def test_every_shipped_preset_describes_itself():
    presets = Presets()
    for path in [*presets.datasets().values(), *presets.variants().values()]:
        assert describe(path)


def test_later_wins(folder: Path):
    presets = write_variant(folder, "training: {max_epochs: 5, patience: 2}")
    settings = presets.settings("shop", "mine", ["training.max_epochs=3"])
    assert (settings.training.max_epochs, settings.training.patience) == (3, 2)
    assert settings.model.quantizer.iterations == 7


def test_another_kind_replaces_the_section(folder: Path):
    presets = write_variant(folder, "model: {quantizer: {kind: random}}")
    quantizer = presets.settings("shop", "mine").model.quantizer
    assert (quantizer.kind, quantizer.levels) == ("random", 3)


def test_the_same_kind_is_merged(folder: Path):
    presets = write_variant(folder, "model: {quantizer: {kind: residual_kmeans, levels: 4}}")
    quantizer = presets.settings("shop", "mine").model.quantizer
    assert (quantizer.levels, quantizer.iterations) == (4, 7)


def test_a_relative_source_starts_at_the_file(folder: Path):
    settings = Presets([folder]).dataset_settings("shop")
    assert settings.data.source.path == str(folder / "datasets" / "raw")


def test_the_data_folder_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIGER_DATA", str(folder))
    settings = Presets([folder]).dataset_settings("shop", ["data.source.path=$TIGER_DATA/x"])
    assert settings.data.source.path == str(folder / "x")


def test_a_folder_named_in_the_environment_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIGER_CONFIG", str(folder))
    assert "shop" in Presets().datasets()
    assert "demo" in Presets().datasets()


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("data: {duplicates: last}", r"mine\.yaml sets 'data', which belongs to the dataset"),
        ("model: {encoder: {}}", r"mine\.yaml sets 'model\.encoder'"),
        ("evaluation: {sasrec: {width: 32}}", r"mine\.yaml sets 'evaluation\.sasrec'"),
        ("[1, 2]", r"mine\.yaml must be a mapping"),
        ("a: [", r"mine\.yaml is not valid YAML"),
        ("trainin: {}", "trainin: Extra inputs are not permitted"),
        ("training: {max_epoch: 3}", r"training\.max_epoch: Extra inputs"),
        ("training: {max_epochs: 0}", r"training\.max_epochs: .* greater than or equal to 1"),
        ("training: {max_epochs: many}", r"training\.max_epochs: .* integer"),
        ("model: {quantizer: {kind: magic}}", r"model\.quantizer: .*'magic'"),
        ("model: {generator: {width: 64}}", r"model\.generator: .*'kind'"),
        (
            "model: {generator: {kind: decoder, width: 100, heads: 3}}",
            "width 100 is not a multiple of heads 3",
        ),
        ("evaluation: {cutoffs: [10, 5]}", "cutoffs must be positive and ascending"),
        ("evaluation: {beams: 10}", "beams 10 cannot give lists of 20 items"),
    ],
)
def test_a_wrong_variant_is_explained(folder: Path, variant: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        write_variant(folder, variant).settings("shop", "mine")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.max_epochs", "not of the form"),
        (".max_epochs=3", "not of the form"),
        ("training.nope=3", r"training\.nope"),
        ("data.filter=5_LOU", "not of the form <user core><item core><rating>_LOU"),
        ("data.text.fields=[title, title]", "each once"),
        ("data.text.line=nothing", r"must contain \{value\}"),
    ],
)
def test_a_wrong_override_is_explained(folder: Path, override: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        Presets([folder]).settings("shop", "plain", [override])


def test_an_unknown_name_lists_the_known_ones(folder: Path):
    with pytest.raises(ConfigurationError, match=r"no dataset 'beuty'. Known: shop"):
        Presets([folder]).dataset_settings("beuty")
    with pytest.raises(ConfigurationError, match=r"no variant 'x'. Known: plain"):
        Presets([folder]).settings("shop", "x")


def test_a_name_defined_twice_is_refused(folder: Path):
    with pytest.raises(ConfigurationError, match="'shop' is defined twice"):
        Presets([folder, folder]).datasets()


def test_a_name_that_cannot_be_a_partition_is_refused(folder: Path):
    (folder / "datasets" / "My-Shop.yaml").write_text(DATASET)
    with pytest.raises(ConfigurationError, match=r"My-Shop\.yaml: .* lower-case"):
        Presets([folder]).datasets()


@pytest.mark.parametrize(
    ("name", "cores"), [("550_LOU", (5, 5, 0)), ("1000_LOU", (10, 0, 0)), ("554_LOU", (5, 5, 4))]
)
def test_filter_names(folder: Path, name: str, cores: tuple[int, int, float]):
    chosen = Presets([folder]).dataset_settings("shop", [f"data.filter={name}"]).data.filter
    assert (chosen.user_core, chosen.item_core, chosen.min_rating) == cores


def test_initial_codebooks_start_at_the_variants_file(folder: Path, monkeypatch):
    key = "model.quantizer.initial_codebooks"
    settings = Presets([folder]).settings("shop", "plain", [f"{key}=start.safetensors"])
    assert settings.model.quantizer.initial_codebooks == str(
        folder / "variants" / "start.safetensors"
    )
    monkeypatch.setenv("TIGER_STORE", str(folder))
    settings = Presets([folder]).settings("shop", "plain", [f"{key}=$TIGER_STORE/a/b.safetensors"])
    assert settings.model.quantizer.initial_codebooks == str(folder / "a" / "b.safetensors")
