from pathlib import Path

import pytest

from tiger_pipeline.configuration.presets import Presets, describe
from tiger_pipeline.configuration.settings import without_seeds
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.evaluation.study_findings import STUDY_ROWS

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
    variants = [variant.path for variant in presets.variants().values()]
    for path in [*presets.datasets().values(), *variants]:
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


def test_overrides_of_a_variants_models_do_not_concern_the_dataset(folder: Path):
    overrides = ["model.generator.blocks=3", "model.encoder.max_length=64", "training.seed=4"]
    settings = Presets([folder]).dataset_settings("shop", overrides)
    assert settings.model.generator == Presets([folder]).dataset_settings("shop").model.generator
    assert (settings.model.encoder.max_length, settings.training.seed) == (64, 4)


def test_a_setting_of_the_default_kind_needs_no_kind(folder: Path):
    presets = write_variant(folder, "model: {generator: {width: 64}}")
    generator = presets.settings("shop", "mine", ["model.generator.blocks=3"]).model.generator
    assert (generator.kind, generator.width, generator.blocks) == ("item_decoder", 64, 3)


def test_a_relative_source_starts_at_the_file(folder: Path):
    settings = Presets([folder]).dataset_settings("shop")
    assert settings.data.source.path == str(folder / "datasets" / "raw")


def test_a_dataset_extends_another(folder: Path):
    elsewhere = folder / "elsewhere"
    (elsewhere / "datasets").mkdir(parents=True)
    (elsewhere / "datasets" / "shop_by_time.yaml").write_text(
        "extends: shop\ndata: {split: {kind: global_time}}\ntraining: {patience: 2}\n"
    )
    presets = Presets([folder, elsewhere])
    settings = presets.settings("shop_by_time", "plain")
    assert settings.data.split.kind == "global_time"
    assert (settings.training.max_epochs, settings.training.patience) == (9, 2)
    # A relative source starts at the file that names it.
    assert settings.data.source.path == str(folder / "datasets" / "raw")
    assert presets.dataset_settings("shop").data.split.kind == "leave_one_out"


def test_datasets_that_extend_one_another_are_refused(folder: Path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "a"), ("lost", "nowhere")):
        (folder / "datasets" / f"{name}.yaml").write_text(f"extends: {base}")
    with pytest.raises(ConfigurationError, match=r"c\.yaml extends 'a', which extends it in turn"):
        Presets([folder]).dataset_settings("a")
    with pytest.raises(ConfigurationError, match="no dataset 'nowhere'"):
        Presets([folder]).dataset_settings("lost")


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
        ("seeds: 0", r"mine\.yaml sets 'seeds' to 0"),
        ("seeds: many", r"mine\.yaml sets 'seeds' to 'many'"),
        ("trainin: {}", "trainin: Extra inputs are not permitted"),
        ("training: {max_epoch: 3}", r"training\.max_epoch: Extra inputs"),
        ("training: {max_epochs: 0}", r"training\.max_epochs: .* greater than or equal to 1"),
        ("training: {max_epochs: many}", r"training\.max_epochs: .* integer"),
        ("model: {quantizer: {kind: magic}}", r"model\.quantizer: .*'magic'"),
        ("model: {generator: {wide: 64}}", r"model\.generator\.item_decoder\.wide: Extra inputs"),
        (
            "model: {generator: {kind: decoder, width: 100, heads: 3}}",
            "width 100 is not a multiple of heads 3",
        ),
        ("evaluation: {cutoffs: [10, 5]}", "cutoffs must be positive and ascending"),
        ("evaluation: {beams: 10}", "beams 10 cannot give lists of 20 items"),
        ("evaluation: {beams: [50, 50, 10]}", "beams 10 cannot give lists of 20 items"),
        ("evaluation: {beams: []}", r"evaluation\.beams"),
        ("evaluation: {beams: [50, 0]}", r"evaluation\.beams"),
        ("evaluation: {sampled_negatives: 9}", r"sets 'evaluation\.sampled_negatives'"),
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


REPEATED = "seeds: 3\nmodel: {quantizer: {kind: random, seed: 10}}\ntraining: {seed: 20}"


def test_seeds_make_variants_of_their_own(folder: Path):
    presets = write_variant(folder, REPEATED)
    assert list(presets.variants()) == ["mine", "mine_seed_1", "mine_seed_2", "plain"]


def test_a_repeat_moves_both_seeds_and_nothing_else(folder: Path):
    presets = write_variant(folder, REPEATED)
    first, third = presets.settings("shop", "mine"), presets.settings("shop", "mine_seed_2")
    assert (first.model.quantizer.seed, first.training.seed) == (10, 20)
    assert (third.model.quantizer.seed, third.training.seed) == (12, 22)
    assert first.evaluation == third.evaluation
    dumps = [settings.model_dump(mode="json") for settings in (first, third)]
    assert dumps[0] != dumps[1]
    assert without_seeds(dumps[0]) == without_seeds(dumps[1])


def test_a_repeat_moves_an_overridden_seed_too(folder: Path):
    presets = write_variant(folder, REPEATED)
    overrides = ["training.seed=100", "model.quantizer.seed=200"]
    settings = presets.settings("shop", "mine_seed_1", overrides)
    assert (settings.training.seed, settings.model.quantizer.seed) == (101, 201)


def test_other_settings_than_seeds_tell_variants_apart(folder: Path):
    presets = write_variant(folder, REPEATED)
    plain = presets.settings("shop", "mine").model_dump(mode="json")
    other = presets.settings("shop", "mine", ["training.patience=2"]).model_dump(mode="json")
    assert without_seeds(plain) != without_seeds(other)


def test_a_repeat_that_has_a_file_of_its_own_is_refused(folder: Path):
    (folder / "variants" / "mine_seed_1.yaml").write_text("")
    with pytest.raises(ConfigurationError, match=r"'mine_seed_1' is defined twice.*mine\.yaml"):
        write_variant(folder, REPEATED).variants()


def test_the_rows_of_the_study_have_three_seeds():
    variants = Presets().variants()
    for row in [*STUDY_ROWS, "item_decoder"]:
        assert {row, f"{row}_seed_1", f"{row}_seed_2"} <= set(variants)


def test_initial_codebooks_start_at_the_variants_file(folder: Path, monkeypatch):
    key = "model.quantizer.initial_codebooks"
    settings = Presets([folder]).settings("shop", "plain", [f"{key}=start.safetensors"])
    assert settings.model.quantizer.initial_codebooks == str(
        folder / "variants" / "start.safetensors"
    )
    monkeypatch.setenv("TIGER_STORE", str(folder))
    settings = Presets([folder]).settings("shop", "plain", [f"{key}=$TIGER_STORE/a/b.safetensors"])
    assert settings.model.quantizer.initial_codebooks == str(folder / "a" / "b.safetensors")
