"""The UI and every step import the definitions: nothing heavy may come with them."""

import subprocess
import sys

HEAVY = (
    "faiss",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "torch",
    "transformers",
)


def loaded_by(statement: str) -> set[str]:
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_definitions_load_nothing_heavy():
    loaded = loaded_by("import tiger_pipeline.definitions")
    assert "dagster" in loaded
    assert not loaded.intersection(HEAVY)


def test_the_command_line_loads_neither_dagster_nor_anything_heavy():
    loaded = loaded_by("import tiger_pipeline.cli")
    assert not loaded.intersection({*HEAVY, "dagster"})
