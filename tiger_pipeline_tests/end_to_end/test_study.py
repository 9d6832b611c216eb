"""The study as a backfill: all nine rows on the demo, through a Dagster instance, then written up.

The budget is tiny, so the numbers mean nothing; that every row gets them does.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from tiger_pipeline.cli import main
from tiger_pipeline.definitions import defs
from tiger_pipeline.evaluation.study_findings import STUDY_ROWS

pytestmark = pytest.mark.slow

FEW_USERS = "data.filter=2000_LOU"
BUDGET = [
    FEW_USERS,
    "model.quantizer.codewords=16",
    "model.quantizer.levels=2",
    "model.generator={kind: decoder, blocks: 1, width: 16, heads: 2, history_items: 5}",
    "training={max_epochs: 1, validation_users: 50}",
    "evaluation={beams: 10, cutoffs: [1, 5, 10], recommended_items: 5}",
]
FEW_EPOCHS = "model.quantizer.epochs=2"
REPEAT = "random_seed_1"


def materialize(instance: dg.DagsterInstance, job: str, partition: str) -> None:
    overrides = [*BUDGET, FEW_EPOCHS] if "|rqvae" in partition else BUDGET
    done = defs.resolve_job_def(job).execute_in_process(
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        partition_key=partition,
        instance=instance,
    )
    assert done.success


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance on which the nine rows, a repeat and the leaderboard were materialized."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIGER_STORE", str(folder / "store"))
        patch.chdir(folder)
        with dg.DagsterInstance.local_temp(str(folder)) as instance:
            materialize(instance, "prepare_dataset", "demo")
            for variant in [*STUDY_ROWS, REPEAT]:
                materialize(instance, "run_variant", f"demo|{variant}")
            materialize(instance, "compare_variants", "demo")
            yield instance


def in_store(*names: str) -> Path:
    return Path(os.environ["TIGER_STORE"], *names)


def test_every_row_is_a_materialized_partition(instance: dg.DagsterInstance):
    expected = {f"demo|{row}" for row in [*STUDY_ROWS, REPEAT]}
    for asset in ("codebooks", "semantic_ids", "generator", "metrics", "recommendations"):
        assert instance.get_materialized_partitions(dg.AssetKey(asset)) == expected


def test_the_leaderboard_has_every_row_with_all_of_its_numbers(instance: dg.DagsterInstance):
    board = pq.read_table(in_store("leaderboard", "demo", "leaderboard.parquet")).to_pylist()
    rows = {row["model"]: row for row in board if row["kind"] == "variant"}
    assert set(rows) == set(STUDY_ROWS)
    for row in rows.values():
        for column in ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10"):
            assert row[column] is not None
        assert len(row["perplexities"]) == 2
        for column in ("colliding_items", "suffix_tokens", "parameters", "training_seconds"):
            assert row[column] > 0
    assert (rows["random"]["seeds"], rows["rqvae_ste"]["seeds"]) == (2, 1)
    assert rows["random"]["ndcg@10_sd"] is not None
    runs = [row["model"] for row in board if row["kind"] == "run"]
    assert runs == ["random", REPEAT]


def test_repeats_have_other_codes(instance: dg.DagsterInstance):
    first, second = (
        pq.read_table(in_store("semantic_ids", "demo", f"{variant}.parquet"))
        for variant in ("random", REPEAT)
    )
    assert first["item_id"] == second["item_id"]
    assert first["codes"] != second["codes"]


def test_the_study_is_written_up(instance: dg.DagsterInstance):
    assert main(["study", "demo", "--out", "written/study.md"]) == 0
    text = Path("written/study.md").read_text(encoding="utf-8")
    for row in STUDY_ROWS:
        assert f"| **{row}** |" in text
    verdicts = [
        text.count(f"| **{verdict}** |") for verdict in ("agrees", "within noise", "differs")
    ]
    assert sum(verdicts) == 6
    assert "from the reports of 10 runs" in text
    assert "1 to 2 seeds each" in text
    for picture in ("rows", "perplexity", "training"):
        assert Path(f"written/study/{picture}.png").is_file()
        assert f"(study/{picture}.png)" in text
    assert str(in_store().parent) not in text


def test_results_name_what_was_not_run(instance: dg.DagsterInstance):
    options = ["--variants", "kmeans_points_10,t5", "--out", "written/results.md"]
    assert main(["results", "demo", *options]) == 0
    text = Path("written/results.md").read_text(encoding="utf-8")
    assert "| **kmeans_points_10** |" in text
    assert "| *item_transition_knn* |" in text
    assert "Not run: `t5`." in text


def test_a_sweep_is_drawn_and_keeps_its_finished_points(
    instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
):
    options = [
        *("sweep", "commitment_weight", "demo", "--out", "written/commitment.md"),
        *(part for override in [*BUDGET, FEW_EPOCHS] for part in ("--set", override)),
    ]
    assert main([*options, "--values", "0.5"]) == 0
    folder = in_store("sweeps", "commitment_weight", "demo", "rqvae_ste")
    first = (folder / "0_5" / "point.json").stat().st_mtime_ns
    assert main([*options, "--values", "2,0.5"]) == 0
    assert (folder / "0_5" / "point.json").stat().st_mtime_ns == first
    points = pq.read_table(folder / "points.parquet").to_pylist()
    assert [point["commitment_weight"] for point in points] == [0.5, 2]
    for point in points:
        assert 0 <= point["invalid_beam_share"] <= 1
        assert point["test_ndcg@10"] is not None
        assert point["valid_ndcg@10"] is not None
    assert points[0]["perplexity"] != points[1]["perplexity"]
    assert "(commitment/demo_rqvae_ste.png)" in Path("written/commitment.md").read_text()
    assert Path("written/commitment/demo_rqvae_ste.png").is_file()
