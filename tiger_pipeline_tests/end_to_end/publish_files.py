"""Publishes a folder of files to the bucket, in a process that can be killed.

python -m tiger_pipeline_tests.end_to_end.publish_files COPIES TEXT FILES
"""

import sys
from pathlib import Path

from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.storage.mirror import MirroredStore
from tiger_pipeline_tests.end_to_end.bucket import URL

if __name__ == "__main__":
    copies, text, files = sys.argv[1:]
    store = MirroredStore.open(URL, Path(copies))
    model = store.directory("generator", "demo", "random")
    with atomic_directory(model) as scratch:
        for number in range(int(files)):
            (scratch / f"weights_{number}").write_text(text * 1000)
    store.publish(model)
