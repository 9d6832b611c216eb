"""The webserver's GraphQL API, as the UI uses it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from stack.waiting import CheckFailed, wait_until

LOCATIONS = """query {
  workspaceOrError { ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename } } } } }"""
LAUNCH = """mutation ($parameters: ExecutionParams!) {
  launchRun(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
RUN = """query ($run: ID!) {
  runOrError(runId: $run) { ... on Run { status tags { key value } stepStats { stepKey status } } }
}"""
RUNS = """query { runsOrError { ... on Runs { results { runId jobName status parentRunId } } } }"""
EVENTS = """query ($run: ID!, $after: String) {
  logsForRun(runId: $run, afterCursor: $after) { ... on EventConnection { cursor hasMore
    events { __typename ... on MessageEvent { message stepKey }
      ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text }
        ... on IntMetadataEntry { intValue } } }
      ... on StepWorkerStartedEvent { metadataEntries { label ... on TextMetadataEntry { text }
        ... on IntMetadataEntry { intValue } } } } } } }"""
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")


@dataclass(frozen=True)
class Api:
    """Questions to a webserver at `url`."""

    url: str

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The answer to a query.

        Raises:
            CheckFailed: the query is refused.
        """
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return dict(json.load(response)["data"])
        except urllib.error.HTTPError as error:
            raise CheckFailed(f"GraphQL: {error.read().decode()}") from error

    def wait_for_location(self, within: float) -> None:
        """Until the code location is loaded, without an error."""

        def loaded() -> bool:
            (entry,) = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
            if entry["loadStatus"] != "LOADED":
                return False
            return bool(entry["locationOrLoadError"]["__typename"] == "RepositoryLocation")

        wait_until(loaded, "the code location is loaded", within)

    def launch(
        self,
        job: str,
        partition: dict[str, str],
        assets: list[str] | None = None,
        config: dict[str, Any] | None = None,
    ) -> str:
        """Queue a run of a job's assets for one partition; gives the run's id."""
        tags = {"dagster/partition": "|".join(partition.values())}
        if len(partition) > 1:
            tags |= {f"dagster/partition/{name}": key for name, key in partition.items()}
        selector: dict[str, Any] = {
            "repositoryLocationName": "tiger_pipeline.definitions",
            "repositoryName": "__repository__",
            "pipelineName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": [asset]} for asset in assets]
        answer = self.ask(
            LAUNCH,
            parameters={
                "selector": selector,
                "runConfigData": config or {},
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in tags.items()]
                },
            },
        )["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise CheckFailed(f"{job} was not launched: {answer}")
        return str(answer["run"]["runId"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Status and tags of a run."""
        return dict(self.ask(RUN, run=run_id)["runOrError"])

    def status(self, run_id: str) -> str:
        """Status of a run."""
        return str(self.run(run_id)["status"])

    def wait_for_success(self, run_id: str, what: str, within: float) -> None:
        """Until a run has ended, and well.

        Raises:
            CheckFailed: it ended otherwise, or not in time; its last events are in the message.
        """
        try:
            wait_until(lambda: self.status(run_id) in FINISHED, f"{what} ends", within)
            ended_well = self.status(run_id) == "SUCCESS"
        except CheckFailed:
            ended_well = False
        if not ended_well:
            last = "\n".join(event["message"] for event in self.events(run_id)[-15:])
            raise CheckFailed(f"{what}: {self.status(run_id)}. Its last events:\n{last}")

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """All events of a run so far."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.ask(EVENTS, run=run_id, after=after)["logsForRun"]
            found += page["events"]
            if not page["hasMore"]:
                return found
            after = page["cursor"]

    def messages(self, run_id: str) -> list[str]:
        """The messages of a run's events so far."""
        return [event["message"] for event in self.events(run_id)]

    def retry_of(self, run_id: str) -> str | None:
        """The run that was started because a run failed."""
        runs = self.ask(RUNS)["runsOrError"]["results"]
        children = [run["runId"] for run in runs if run["parentRunId"] == run_id]
        return children[0] if children else None
