"""URLs of artifact stores: which are refused, how one is shown, and the file system behind it."""

import re
from typing import TYPE_CHECKING

from tiger_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_USER_INFO = re.compile(r"(?<=://)[^/@\s'\"]*@")
_QUERY = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\"]*")


def is_url(location: str) -> bool:
    """Whether a store's location is a URL rather than a folder."""
    return "://" in location


def without_secrets(text: str) -> str:
    """The text with user information, queries and fragments taken out of every URL in it.

    >>> without_secrets("no answer from http://me:secret@host/bucket?token=1")
    'no answer from http://host/bucket'
    """
    return _QUERY.sub(r"\1", _USER_INFO.sub("", text))


def check_url(url: str) -> None:
    """Refuse a URL that names no place, or that carries more than a place.

    Raises:
        ConfigurationError: it has a query, a wildcard, a chain of protocols, `..`, or no path.
    """
    shown = without_secrets(url)
    protocol, _, place = url.partition("://")
    if "::" in url or set(place) & set("?#*[]") or ".." in place.split("/"):
        raise ConfigurationError(
            f"The artifact store {shown} must be a plain URL such as s3://bucket/prefix: without "
            "query, wildcard, '::' or '..'. Credentials and endpoints belong into the environment "
            "(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and the like)."
        )
    if not place.strip("/") and protocol != "memory":
        raise ConfigurationError(
            f"The artifact store {shown} names no bucket or folder. Write it like s3://bucket/prefix."
        )


def open_filesystem(url: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of a store's URL, and the path of the store in it.

    Listings are never cached: other machines write to the store as well.

    Raises:
        ConfigurationError: the URL is refused by `check_url`, its protocol is unknown, the package
            for it is not installed, or its settings in the environment are no good.
    """
    from fsspec.core import url_to_fs

    check_url(url)
    shown = without_secrets(url)
    protocol = url.partition("://")[0]
    options = {"auto_mkdir": True} if protocol in ("file", "local") else {}
    try:
        filesystem, path = url_to_fs(url, use_listings_cache=False, **options)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        advice = f"pip install -e '.[{extra}]' in the checkout" if extra else str(error)
        raise ConfigurationError(
            f"The artifact store {shown} needs a package that is not installed: {advice}"
        ) from error
    except Exception as error:
        raise ConfigurationError(
            f"The artifact store {shown} cannot be opened: {without_secrets(str(error))}"
        ) from None
    return filesystem, path.rstrip("/")
