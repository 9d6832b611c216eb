"""Publications that are interrupted, or meet each other, at every possible operation."""

import json
from pathlib import Path
from typing import Any

import pytest

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline_tests.storage.remotes import (
    NEW,
    NEWER,
    OLD,
    ROOT,
    Bucket,
    doing,
    interrupting,
    machine,
    objects_in,
    operations,
    read,
    write,
)

MODEL = ("generator", "demo", "random")
KEY = "generator/demo/random"
FOLDER = f"{ROOT}/{KEY}"
Content = dict[str, str] | str


class Killed(BaseException):
    """What `kill -9` is to the store: nothing more happens."""


def put(copies: Path, bucket: Bucket, content: Content, **how: Any) -> int:
    """Write and publish a directory (or, for a text, a table) on a machine; counts operations."""
    store = machine(copies, bucket, **how)
    path = store.table(*MODEL) if isinstance(content, str) else store.directory(*MODEL)
    write(path, content)
    store.publish(path)
    return operations(store)


def get(copies: Path, bucket: Bucket, like: Content = OLD, **how: Any) -> Any:
    """What a machine reads."""
    store = machine(copies, bucket, **how)
    path = store.table(*MODEL) if isinstance(like, str) else store.directory(*MODEL)
    return read(store.fetch(path))


def versions(bucket: Bucket) -> set[str]:
    below = (path.split("/")[3] for path in objects_in(bucket))
    return {name for name in below if name != "current.json"}


@pytest.mark.parametrize("kind", ["memory", "folder"])
@pytest.mark.parametrize(("old", "new", "newer"), [(OLD, NEW, NEWER), ("old", "new", "newer")])
@pytest.mark.parametrize("error", [Killed(), OSError("the network is down")])
def test_an_interrupted_publication_is_the_old_or_the_new_one_and_leaves_nothing(
    tmp_path: Path, kind: str, old: Content, new: Content, newer: Content, error: BaseException
):
    seen = []
    done = False
    while not done:
        place = tmp_path / f"step{len(seen)}"
        bucket: Bucket = place / "bucket" if kind == "folder" else {}
        put(place / "here", bucket, old)
        try:
            put(place / "here", bucket, new, before=interrupting(len(seen) + 1, error))
            done = True
        except (Killed, ArtifactError):
            pass
        seen.append(get(place / "reader", bucket, old))
        put(place / "here", bucket, newer)
        assert get(place / "reader", bucket, old) == newer
        assert len(versions(bucket)) == 1
    assert seen == [old] * seen.count(old) + [new] * seen.count(new)
    assert seen.count(old) > 2
    assert seen[-1] == new


def test_of_two_publications_at_once_one_holds_whole(tmp_path: Path):
    steps = put(tmp_path / "measured", {}, NEW)
    held = []
    for step in range(1, steps + 2):
        objects: dict[str, Any] = {}
        first, second = tmp_path / f"first{step}", tmp_path / f"second{step}"
        put(first, objects, OLD)
        assert get(second, objects) == OLD

        def other(second: Path = second, objects: dict[str, Any] = objects) -> None:
            put(second, objects, NEWER)

        put(first, objects, NEW, before=doing(step, other))
        if step == steps + 1:
            other()
        found = [get(copies, objects) for copies in (first, second, tmp_path / f"third{step}")]
        assert found[0] == found[1] == found[2]
        assert found[0] in (NEW, NEWER)
        held.append(found[0])
        put(first, objects, OLD)
        put(second, objects, NEW)
        assert len(versions(objects)) == 1  # nobody's leftovers
    assert NEW in held
    assert NEWER in held


@pytest.mark.parametrize("at_each", [False, True])
def test_a_reader_who_is_overtaken_reads_one_version_whole(tmp_path: Path, at_each: bool):
    for step in range(1, 7):
        objects: dict[str, Any] = {}
        writer = tmp_path / f"writer{step}"
        put(writer, objects, OLD)
        contents = iter([NEW, NEWER, OLD, NEW])

        def overtake(
            number: int, step: int = step, writer: Path = writer, objects=objects, contents=contents
        ) -> None:
            if number == step or (at_each and number < step):
                put(writer, objects, next(contents, OLD))

        found = get(tmp_path / f"reader{step}", objects, before=overtake)
        assert found in (OLD, NEW, NEWER)


def test_uploads_of_other_machines_are_left_alone_for_a_day(tmp_path: Path):
    objects: dict[str, Any] = {}
    with pytest.raises(Killed):
        put(tmp_path / "killed", objects, OLD, before=interrupting(3, Killed()))
    (begun,) = versions(objects)
    put(tmp_path / "other", objects, NEW)
    assert begun in versions(objects)

    long_ago = begun.replace(begun[:10], "v-20200101")
    for path in [path for path in objects if begun in path]:
        objects[path.replace(begun, long_ago)] = objects.pop(path)
    put(tmp_path / "other", objects, NEWER)
    assert len(versions(objects)) == 1


def test_nothing_is_sent_when_nothing_has_changed(tmp_path: Path):
    objects: dict[str, Any] = {}
    put(tmp_path / "here", objects, OLD)
    before = dict(objects)
    assert put(tmp_path / "elsewhere", objects, OLD) < put(tmp_path / "measured", {}, OLD)
    assert objects == before


def test_what_is_damaged_is_named_and_mended_by_the_next_publication(tmp_path: Path):
    objects: dict[str, Any] = {}
    put(tmp_path / "here", objects, OLD)
    path = next(path for path in objects if path.endswith("model.safetensors"))
    del objects[path]
    with pytest.raises(ArtifactError, match=r"generator/demo/random is damaged: model.safetensors"):
        get(tmp_path / "reader", objects)
    assert read(tmp_path / "reader" / "generator") is None or not list(
        (tmp_path / "reader" / "generator").rglob("config.json")
    )
    put(tmp_path / "here", objects, OLD)
    assert get(tmp_path / "reader", objects) == OLD


@pytest.mark.parametrize(
    "name", ["../../../evil", "/etc/evil", "a/../../evil", ".hidden", "a\\b", ""]
)
def test_a_pointer_cannot_lead_out_of_the_store(tmp_path: Path, name: str):
    objects: dict[str, Any] = {}
    put(tmp_path / "here", objects, OLD)
    store = machine(tmp_path / "here", objects)
    filesystem = store.remote._filesystem
    pointer = json.loads(filesystem.cat_file(f"{FOLDER}/current.json"))
    pointer["files"][name] = {"size": 1, "sha256": "0"}
    filesystem.pipe_file(f"{FOLDER}/current.json", json.dumps(pointer).encode())
    with pytest.raises(ArtifactError, match=r"random/current\.json is damaged"):
        get(tmp_path / "reader", objects)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "files": {}}', b"\xff"])
def test_a_broken_pointer_is_named_and_replaced(tmp_path: Path, content: bytes):
    objects: dict[str, Any] = {}
    put(tmp_path / "here", objects, OLD)
    machine(tmp_path / "here", objects).remote._filesystem.pipe_file(
        f"{FOLDER}/current.json", content
    )
    with pytest.raises(ArtifactError, match=r"random/current\.json is damaged"):
        get(tmp_path / "reader", objects)
    put(tmp_path / "here", objects, NEW)
    assert get(tmp_path / "reader", objects) == NEW


def test_an_error_shows_no_secret(tmp_path: Path):
    error = RuntimeError("no answer from https://me:hidden@host/bucket?X-Amz-Signature=hidden")
    with pytest.raises(ArtifactError) as caught:
        get(tmp_path / "reader", {}, before=interrupting(1, error))
    assert "no answer from https://host/bucket" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_full_disk_is_named(tmp_path: Path):
    objects: dict[str, Any] = {}
    put(tmp_path / "here", objects, OLD)
    full = OSError(28, "No space left on device")
    with pytest.raises(ArtifactError, match=r"The disk that holds .*random is full"):
        get(tmp_path / "reader", objects, before=interrupting(2, full))
    with pytest.raises(ArtifactError, match=r"could not be written .*No space left on device"):
        put(tmp_path / "here", objects, NEW, before=interrupting(2, full))
    assert get(tmp_path / "reader", objects) == OLD
