import threading

import pytest

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.background import repeating


def test_an_action_is_repeated_and_ends_with_the_block():
    twice, calls = threading.Event(), []

    def action() -> None:
        calls.append(threading.current_thread())
        if len(calls) == 2:
            twice.set()

    with repeating(action, 0.001):
        assert twice.wait(10)
    done = len(calls)
    assert calls[-1] is threading.main_thread()
    assert threading.main_thread() not in calls[:-1]
    assert len(calls) == done


def test_a_failure_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture):
    again, calls = threading.Event(), []

    def action() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ArtifactError("the bucket is away.")
        again.set()

    with repeating(action, 0.001):
        assert again.wait(10)
    assert "the bucket is away. This is tried again." in caplog.text


def fail() -> None:
    raise ArtifactError("the bucket is away.")


def test_the_last_failure_is_raised():
    with pytest.raises(ArtifactError, match="away"), repeating(fail, 60):
        pass


def test_what_ended_the_block_comes_before_the_last_failure():
    with pytest.raises(ZeroDivisionError), repeating(fail, 60):
        raise ZeroDivisionError
