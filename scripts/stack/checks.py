"""What the running stack must do: materialize the demo, and survive kills without losing work."""

import json
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.graphql import FINISHED, Api
from stack.services import Stack
from stack.waiting import CheckFailed, wait_until

DATASET = {"dataset": "demo"}
VARIANT = {"dataset": "demo", "variant": "random"}
TRAINED = ["generator", "metrics"]
EPOCHS = 6
SETTINGS = [
    "model.encoder.max_length=8",
    "model.generator={kind: decoder, blocks: 1, width: 32, heads: 2}",
    f"training.max_epochs={EPOCHS}",
    "training.validate_every=1",
    "training.validation_users=100",
    "evaluation.splits=[test]",
    "evaluation.cutoffs=[5, 10]",
    "evaluation.recommended_items=10",
    "evaluation.beams=10",
]
RUN_WITHIN = 300.0
"""Seconds that a run may take, its time in the queue included."""
NOTICED_WITHIN = 60.0
"""Seconds after a kill within which a new attempt must have been started."""


def run_config(one_process: bool) -> dict[str, Any]:
    """Of all runs: a budget of seconds; steps in the run's process, or in one each."""
    config: dict[str, Any] = {"resources": {"settings": {"config": {"overrides": SETTINGS}}}}
    if one_process:
        config["execution"] = {"config": {"in_process": {}}}
    return config


@dataclass(frozen=True)
class Outcome:
    """What a training ended with: the weights, and all that was measured but times."""

    weights: bytes
    metrics: Any


class Checks:
    """The checks, in the order in which they build on one another."""

    def __init__(self, stack: Stack, api: Api) -> None:
        self._stack = stack
        self._api = api
        self._undisturbed: Outcome | None = None

    def materialize_the_demo(self) -> str:
        """Run every asset of a dataset and a variant undisturbed."""
        dataset = self._api.launch("prepare_dataset", DATASET, config=run_config(True))
        self._api.wait_for_success(dataset, "prepare_dataset", RUN_WITHIN)
        assets = ["codebooks", "semantic_ids", *TRAINED]
        variant = self._api.launch("run_variant", VARIANT, assets, run_config(True))
        self._api.wait_for_success(variant, "run_variant", RUN_WITHIN)
        self._undisturbed = self._outcome()
        return f"two runs; {EPOCHS} epochs trained"

    def kill_the_run(self) -> str:
        """`kill -9` of a run's process in mid-training: a new run goes on after the last epoch."""
        run = self._train_until_epoch(2, one_process=True)
        os.kill(self._process_of(run), signal.SIGKILL)
        retry, seconds = self._wait_for_retry(run)
        self._api.wait_for_success(retry, "the retry", RUN_WITHIN)
        return f"retried after {seconds:.0f} s; {self._resumed(retry)}; {self._same_outcome()}"

    def kill_the_training_and_the_code_server(self) -> str:
        """`kill -9` of a step's process; then, in the retry, of the code server and its runs."""
        run = self._train_until_epoch(2, one_process=False)
        os.kill(self._process_of(run), signal.SIGKILL)
        first, seconds = self._wait_for_retry(run)
        self._wait_for_epoch(first, 4)
        resumed = self._resumed(first)

        code = self._stack.services["code"]
        code.kill()
        code.start()  # as the restart policy does
        second, seconds_more = self._wait_for_retry(first)
        self._api.wait_for_success(second, "the second retry", RUN_WITHIN)
        return (
            f"retried after {seconds:.0f} s and {seconds_more:.0f} s; {resumed}, then "
            f"{self._resumed(second)}; {self._same_outcome()}"
        )

    def kill_the_daemon(self) -> str:
        """`kill -9` of the daemon: what waits in the queue is executed once it is back."""
        daemon = self._stack.services["daemon"]
        daemon.kill()
        run = self._api.launch("compare_variants", DATASET)
        if self._api.status(run) != "QUEUED":
            raise CheckFailed("A run without a daemon is not queued.")
        daemon.start()  # as the restart policy does
        self._api.wait_for_success(run, "the queued run", RUN_WITHIN)
        return "the queued run succeeded"

    def _train_until_epoch(self, epoch: int, one_process: bool) -> str:
        """Start the training anew, without the finished generator, and wait for an epoch's end."""
        for asset in TRAINED:
            shutil.rmtree(self._stack.store / asset)
        run = self._api.launch("run_variant", VARIANT, TRAINED, run_config(one_process))
        self._wait_for_epoch(run, epoch)
        return run

    def _wait_for_epoch(self, run: str, epoch: int) -> None:
        wait_until(
            lambda: any(m.startswith(f"Epoch {epoch}:") for m in self._api.messages(run)),
            f"epoch {epoch} ends",
            RUN_WITHIN,
            while_true=lambda: self._api.status(run) not in FINISHED,
        )

    def _process_of(self, run: str) -> int:
        """Process id of what trains: the step's own process, else the run's."""
        found = 0
        for event in self._api.events(run):
            is_start = event["__typename"] == "StepWorkerStartedEvent"
            if is_start or event["message"].startswith("Started process for run"):
                found = next(
                    int(m["text"]) for m in event["metadataEntries"] if m["label"] == "pid"
                )
        return found

    def _wait_for_retry(self, run: str) -> tuple[str, float]:
        """The run that Dagster starts instead of a killed one, and how long that took (seconds)."""
        started = time.monotonic()
        retry = wait_until(
            lambda: self._api.retry_of(run), "the killed run is retried", NOTICED_WITHIN
        )
        return retry, time.monotonic() - started

    def _resumed(self, run: str) -> str:
        """The log line of a training that goes on."""
        for message in self._api.messages(run):
            if message.startswith("Training goes on after epoch"):
                return f"“{message}”"
        raise CheckFailed("The retry has trained from the beginning.")

    def _outcome(self) -> Outcome:
        place = Path(VARIANT["dataset"], VARIANT["variant"])
        return Outcome(
            (self._stack.store / "generator" / place / "model.safetensors").read_bytes(),
            _without_seconds(
                json.loads((self._stack.store / "metrics" / place / "metrics.json").read_text())
            ),
        )

    def _same_outcome(self) -> str:
        found = self._outcome()
        assert self._undisturbed is not None
        if found.weights != self._undisturbed.weights:
            raise CheckFailed("The weights differ from those of the undisturbed run.")
        if found.metrics != self._undisturbed.metrics:
            raise CheckFailed("The metrics differ from those of the undisturbed run.")
        return "weights and metrics equal to the undisturbed run's"


def _without_seconds(value: Any) -> Any:
    """A JSON value without what says how long something took."""
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if "seconds" not in k.lower()}
    if isinstance(value, list):
        return [_without_seconds(element) for element in value]
    return value
