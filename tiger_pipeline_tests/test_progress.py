import io
import logging

import pytest

from tiger_pipeline.progress import LoggedProgress, NoProgress, TerminalProgress


def test_the_log_gets_rate_and_figures(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    progress = LoggedProgress(logging.getLogger("test"), every_seconds=0)
    with progress.task("Encoding", total=100, unit="texts") as task:
        task.advance(25, loss=1.5)
    assert "Encoding: 25 of 100 texts" in caplog.text
    assert "s left, loss 1.5" in caplog.text


def test_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    with LoggedProgress(logging.getLogger("test"), every_seconds=60).task("Work", 1000) as task:
        for _ in range(1000):
            task.advance()
    assert caplog.text == ""


def test_a_terminal_gets_a_bar():
    screen = io.StringIO()
    progress = TerminalProgress(screen)
    with progress.task("Training", total=4) as task:
        task.advance(4, loss=0.25)
    progress.note("epoch 1")
    assert "Training: 100%" in screen.getvalue()
    assert "loss=0.25" in screen.getvalue()
    assert "epoch 1" in screen.getvalue()


def test_nobody_hears_anything(capsys: pytest.CaptureFixture[str]):
    with NoProgress().task("Work", total=1) as task:
        task.advance()
    NoProgress().note("done")
    assert capsys.readouterr() == ("", "")
