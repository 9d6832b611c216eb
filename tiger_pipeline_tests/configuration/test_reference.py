from pathlib import Path

from tiger_pipeline.configuration.reference import settings_reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_document_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == settings_reference(), (
        "run: tiger settings > docs/settings.md"
    )


def test_sections_choices_bounds_and_defaults_are_shown():
    reference = settings_reference()
    assert "## model.quantizer (kind: residual_kmeans)" in reference
    assert "## model.quantizer (kind: random)" in reference
    assert "| `dropout` | number, ≥ 0, < 1 |" in reference
    assert "| `path` | string | required |" in reference
