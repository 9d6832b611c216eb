from pathlib import Path

from tiger_pipeline.evaluation.result_document import Section, markdown_table, write_document


def test_pictures_lie_beside_the_text_that_links_to_them(tmp_path: Path):
    path = tmp_path / "docs" / "study.md"
    sections = [
        Section("First", "Text.\n", {"curve": ("A curve", b"png 1")}),
        Section("Second", "More.", {"bars": ("Bars", b"png 2")}),
    ]
    write_document(path, "Title", "What it is.", sections)
    assert path.read_text() == (
        "# Title\n\nWhat it is.\n"
        "\n## First\n\nText.\n\n![A curve](study/curve.png)\n"
        "\n## Second\n\nMore.\n\n![Bars](study/bars.png)\n"
    )
    assert (tmp_path / "docs" / "study" / "curve.png").read_bytes() == b"png 1"
    assert (tmp_path / "docs" / "study" / "bars.png").read_bytes() == b"png 2"


def test_other_files_in_the_folder_of_pictures_stay(tmp_path: Path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.txt").write_text("mine")
    write_document(tmp_path / "study.md", "T", "I", [Section("S", "x", {"p": ("P", b"1")})])
    assert (tmp_path / "study" / "mine.txt").read_text() == "mine"


def test_cells_cannot_break_a_table():
    assert markdown_table(["a", "b"], [["x|y", "z"]]).splitlines()[2] == "| x\\|y | z |"
