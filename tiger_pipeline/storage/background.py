"""Small work that is repeated beside long work."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tiger_pipeline.errors import TigerError

_log = logging.getLogger(__name__)


@contextmanager
def repeating(action: Callable[[], None], every_seconds: float) -> Iterator[None]:
    """Call `action` now and then in a thread while the block runs, and once more when it ends.

    A call that fails is logged, and the next one tries again. A call that takes long is followed by
    a pause as long, so that at most half of the time goes into it.

    Raises:
        TigerError: the last call failed after a block that did not.
    """
    ended = threading.Event()

    def repeat() -> None:
        pause = every_seconds
        while not ended.wait(pause):
            started = time.monotonic()
            try:
                action()
            except TigerError as error:
                _log.warning("%s This is tried again.", error)
            pause = max(every_seconds, time.monotonic() - started)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        ended.set()
        thread.join()
        with suppress(TigerError):  # what ended the block is what the user must see
            action()
        raise
    ended.set()
    thread.join()
    action()
