"""`torchrun`, which ends with all of its workers when the process that started it does."""

import sys

from tiger_pipeline.workers.parent import end_with_parent


def main() -> None:
    """Run `torchrun` with this program's arguments."""
    end_with_parent()
    from torch.distributed.run import main as torchrun

    torchrun(sys.argv[1:])


if __name__ == "__main__":
    main()
