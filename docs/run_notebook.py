"""Run a notebook's code cells in order and keep what they print: `python docs/run_notebook.py`.

A notebook that only prints needs no Jupyter to be run. Without arguments, docs/recommend.ipynb is
run and rewritten with its new outputs.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("recommend.ipynb")


def run_cells(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with fresh outputs; an exception of a cell passes through."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec("".join(cell["source"]), names)
            cell = {
                **cell,
                "execution_count": 1 + sum(done["cell_type"] == "code" for done in cells),
                "outputs": _stream(printed.getvalue()),
            }
        cells.append(cell)
    return {**notebook, "cells": cells}


def _stream(text: str) -> list[dict[str, Any]]:
    lines = text.splitlines(keepends=True)
    return [{"name": "stdout", "output_type": "stream", "text": lines}] if text else []


def main(path: Path) -> None:
    """Run the notebook at `path` and write it back."""
    notebook = run_cells(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK)
