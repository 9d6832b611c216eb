import importlib.util

import pytest

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.remote_url import check_url, is_url, open_filesystem, without_secrets


@pytest.mark.parametrize(
    "url", ["s3://bucket/a/b", "gs://bucket", "file:///mnt/share", "memory://"]
)
def test_plain_urls_pass(url: str):
    assert is_url(url)
    check_url(url)


@pytest.mark.parametrize("folder", ["artifacts", "/srv/artifacts", "~/artifacts", "C:\\artifacts"])
def test_folders_are_no_urls(folder: str):
    assert not is_url(folder)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://key:hidden@bucket/a?token=hidden", "s3://bucket/a must be a plain URL"),
        ("s3://bucket/a#hidden", "s3://bucket/a must be a plain URL"),
        ("s3://bucket/*", "must be a plain URL"),
        ("s3://bucket/[ab]", "must be a plain URL"),
        ("s3://bucket/../other", "must be a plain URL"),
        ("simplecache::s3://bucket", "must be a plain URL"),
        ("s3://", "names no bucket"),
        ("file:///", "names no bucket"),
    ],
)
def test_other_urls_are_refused(url: str, message: str):
    with pytest.raises(ConfigurationError, match=message) as caught:
        check_url(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("https://me:pass@host:9000/b?sig=1&x=2 failed", "https://host:9000/b failed"),
        ("at 'http://u@h/p?q=1' and http://u@h2/p#f.", "at 'http://h/p' and http://h2/p"),
        ("a mail to me@host is no URL?", "a mail to me@host is no URL?"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str):
    assert without_secrets(text) == shown


def test_an_unknown_protocol_is_named():
    with pytest.raises(ConfigurationError, match=r"s4://bucket cannot be opened: .*s4"):
        open_filesystem("s4://bucket")


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_missing_package_is_named_by_its_extra():
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[gcs\]'"):
        open_filesystem("gs://bucket/a")


def test_listings_are_never_cached():
    filesystem, path = open_filesystem("memory://bucket/a/")
    assert path == "/bucket/a"
    assert not filesystem.dircache.use_listings_cache
