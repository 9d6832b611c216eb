"""The early end of a worker process: its work is safe at any moment, so it need not tidy up."""

import os
import signal
import threading
import time

_SECONDS_BETWEEN_LOOKS = 1.0


def end_with_parent() -> None:
    """Have this process get SIGTERM once the process that started it is gone, `kill -9` included.

    Without it, a training whose Dagster run was killed would keep the GPU for hours. To be called
    in the main thread.
    """
    parent = os.getppid()
    # Who started it may ignore this signal, as Dagster does where a script runs it with `&`.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def end_at_once() -> None:
    """Let SIGINT end this process as SIGTERM does, even while it waits for another process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
