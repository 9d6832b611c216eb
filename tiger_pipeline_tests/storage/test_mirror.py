"""Machines that share a store: what one publishes the others fetch, and unfinished work moves."""

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.storage.mirror import MirroredStore
from tiger_pipeline_tests.storage.remotes import (
    NEW,
    NEWER,
    OLD,
    Bucket,
    interrupting,
    machine,
    objects_in,
    operations,
    read,
    write,
)

MODEL = ("generator", "demo", "random")


@pytest.fixture
def bucket() -> Bucket:
    return {}


@pytest.fixture
def here(tmp_path: Path, bucket: Bucket) -> MirroredStore:
    return machine(tmp_path / "here", bucket)


@pytest.fixture
def there(tmp_path: Path, bucket: Bucket) -> MirroredStore:
    return machine(tmp_path / "there", bucket)


def publish(store: MirroredStore, content: dict[str, str]) -> None:
    write(store.directory(*MODEL), content)
    store.publish(store.directory(*MODEL))


def fetched(store: MirroredStore) -> object:
    return read(store.fetch(store.directory(*MODEL)))


def test_one_machine_reads_what_another_wrote(here: MirroredStore, there: MirroredStore):
    assert fetched(there) is None
    for content in (OLD, NEW, NEWER):
        publish(here, content)
        assert fetched(there) == content
    items = there.table("items", "demo")
    write(items, "a table")
    there.publish(items)
    assert read(here.fetch(here.table("items", "demo"))) == "a table"


def test_a_mounted_folder_is_a_store(tmp_path: Path):
    url = f"file://{tmp_path}/mounted"
    here, there = (MirroredStore.open(url, tmp_path / name) for name in ("here", "there"))
    assert fetched(there) is None
    for content in (OLD, NEW):
        publish(here, content)
        assert fetched(there) == content
    assert here.partitions("generator", dimensions=2) == {("demo", "random")}
    assert not list((here.root / ".mirror" / "snapshots").iterdir())


def test_a_current_copy_costs_one_look(here: MirroredStore, there: MirroredStore):
    publish(here, OLD)
    fetched(there)
    before = operations(there)
    assert fetched(there) == OLD
    assert operations(there) == before + 1


def test_what_was_not_published_is_not_read(here: MirroredStore, there: MirroredStore):
    publish(here, OLD)
    write(here.directory(*MODEL), NEW)
    assert fetched(here) == OLD
    write(there.directory(*MODEL), {"config.json": "never published"})
    assert fetched(there) == OLD
    (there.directory(*MODEL) / "config.json").write_text("touched by hand")
    assert fetched(there) == OLD


def test_a_copy_of_what_is_gone_is_removed(here: MirroredStore, there: MirroredStore):
    publish(here, OLD)
    fetched(there)
    there.remote.withdraw("generator/demo/random")
    assert fetched(there) is None
    assert fetched(here) is None


def test_nothing_cannot_be_published(here: MirroredStore, there: MirroredStore):
    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"no file at .*random, so it cannot be published"):
            here.publish(here.directory(*MODEL))
        publish(there, OLD)
        write(here.directory(*MODEL), {})
    assert fetched(there) == OLD


def test_what_exists_is_listed_without_copies(here: MirroredStore, there: MirroredStore):
    assert there.partitions("generator", dimensions=2) == set()
    publish(here, NEW)
    for partition in (("demo", "random"), ("demo", "plain"), ("shop", "plain")):
        write(here.table("semantic_ids", *partition), "ids")
        here.publish(here.table("semantic_ids", *partition))
    assert there.partitions("generator", dimensions=2) == {("demo", "random")}
    assert there.partitions("semantic_ids", dimensions=2) == {
        ("demo", "random"),
        ("demo", "plain"),
        ("shop", "plain"),
    }
    assert there.partitions("semantic_ids", dimensions=1) == set()
    assert not there.root.joinpath("generator").exists()


def test_what_is_shown_is_the_url(here: MirroredStore):
    publish(here, OLD)
    model = here.directory(*MODEL)
    assert here.location(model) == "memory://bucket/prefix/generator/demo/random"
    (version,) = {path.split("/")[3] for path in objects_in(here.remote._filesystem.store)} - {
        "current.json"
    }
    assert here.link(model, "config.json") == f"{here.location(model)}/{version}/config.json"


def state(work: Path, epoch: int) -> None:
    with atomic_directory(work / "epoch_state") as scratch:
        (scratch / "record.json").write_text(str(epoch))
        (scratch / "tensors").write_text("x" * epoch)


def epoch_of(work: Path) -> int | None:
    path = work / "epoch_state" / "record.json"
    return int(path.read_text()) if path.exists() else None


def wait_for_publication(store: MirroredStore, epoch: int) -> None:
    """Until another machine would resume from `epoch`; the store looks every 0.02 seconds."""
    for _ in range(500):
        if epoch_of(store.fetch(store.resumable(*MODEL))) == epoch:
            return
        time.sleep(0.01)
    raise AssertionError(f"epoch {epoch} was not published")


def test_work_goes_on_on_another_machine(
    here: MirroredStore, there: MirroredStore, tmp_path: Path, bucket: Bucket
):
    with pytest.raises(KeyboardInterrupt), here.resuming(*MODEL) as work:
        assert epoch_of(work) is None
        state(work, 1)
        wait_for_publication(machine(tmp_path / "watcher", bucket), 1)
        state(work, 2)
        raise KeyboardInterrupt
    with there.resuming(*MODEL) as work:
        assert epoch_of(work) == 2
        state(work, 3)
        for file in sorted(work.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        work.rmdir()
        publish(there, NEW)
    assert not [path for path in objects_in(bucket) if path.startswith(".resumable")]
    with here.resuming(*MODEL) as work:
        assert epoch_of(work) is None  # finished elsewhere: the state here is of no use


def test_a_machine_goes_on_where_it_was_even_if_that_was_not_published(here: MirroredStore):
    state(here.resumable(*MODEL), 1)
    with here.resuming(*MODEL) as work:
        assert epoch_of(work) == 1
    state(here.resumable(*MODEL), 2)  # as a process that was killed before it could publish
    with here.resuming(*MODEL) as work:
        assert epoch_of(work) == 2


def test_a_machine_that_was_overtaken_takes_the_state_of_the_other(
    here: MirroredStore, there: MirroredStore
):
    for store, epoch in ((here, 1), (there, 2)):
        with store.resuming(*MODEL) as work:
            state(work, epoch)
    state(here.resumable(*MODEL), 9)
    with here.resuming(*MODEL) as work:
        assert epoch_of(work) == 2


def test_work_outlives_a_network_that_fails_now_and_then(
    tmp_path: Path, bucket: Bucket, caplog: pytest.LogCaptureFixture
):
    failed = threading.Event()

    def before(number: int) -> None:
        if number == 3:
            failed.set()
            raise OSError("the network is down")

    with machine(tmp_path / "here", bucket, before).resuming(*MODEL) as work:
        state(work, 1)
        assert failed.wait(10)
    assert "the network is down" in caplog.text
    other = machine(tmp_path / "there", bucket)
    assert epoch_of(other.fetch(other.resumable(*MODEL))) == 1


def test_embedding_parts_are_shared_one_by_one(
    here: MirroredStore, there: MirroredStore, bucket: Bucket
):
    def parts(store: MirroredStore) -> set[str]:
        return {path.name for path in store.embedding_cache.rglob("part-*")}

    with here.sharing_embeddings("encoder") as cache:
        write(cache / "encoder" / "part-a.parquet", "a")
        write(cache / "encoder" / "part-b.parquet", "b")
    write(there.embedding_cache / "encoder" / "part-c.parquet", "c")  # its upload was interrupted
    with pytest.raises(KeyboardInterrupt), there.sharing_embeddings("encoder") as cache:
        assert parts(there) == {"part-a.parquet", "part-b.parquet", "part-c.parquet"}
        write(cache / "encoder" / "part-d.parquet", "d")
        raise KeyboardInterrupt
    everything = {f"part-{name}.parquet" for name in "abcd"}
    published = objects_in(bucket)
    before = operations(here)
    with here.sharing_embeddings("encoder"):
        assert parts(here) == everything
    assert operations(here) - before < 15  # two parts fetched, none again, none sent
    with here.sharing_embeddings("other"):
        pass
    assert objects_in(bucket) == published


def test_two_threads_publish_and_fetch_whole_versions(here: MirroredStore, there: MirroredStore):
    contents = [{"a": f"{n}", "b": f"{n}" * 50} for n in range(12)]
    publish(here, contents[0])
    seen: list[object] = []

    def follow() -> None:
        for _ in range(12):
            seen.append(fetched(there))

    thread = threading.Thread(target=follow)
    thread.start()
    for content in contents:
        publish(here, content)
    thread.join()
    assert len(seen) == 12
    assert all(content in contents for content in seen)


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 2),  # machine
        st.sampled_from(["publish", "fetch", "interrupted", "withdraw"]),
        st.integers(1, 9),  # operation that is interrupted
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(ACTIONS)
def test_any_history_reads_as_the_last_publication(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, str, int]]
):
    folder, bucket = tmp_path_factory.mktemp("machines"), {}
    possible: list[object] = [None]  # what may be current: two where an upload was interrupted
    for number, (who, action, step) in enumerate(actions):
        copies = folder / f"machine{who}"
        content = {"config.json": f"{number}", "weights": "w" * number}
        if action == "publish":
            publish(machine(copies, bucket), content)
            possible = [content]
        elif action == "withdraw":
            machine(copies, bucket).remote.withdraw("/".join(MODEL))
            possible = [None]
        elif action == "interrupted":
            try:
                publish(machine(copies, bucket, interrupting(step, OSError("down"))), content)
                possible = [content]
            except ArtifactError:
                possible.append(content)
        else:
            found = fetched(machine(copies, bucket))
            assert found in possible
            possible = [found]
    assert fetched(machine(folder / "fresh", bucket)) in possible
