"""Names that a person may have meant."""

from collections.abc import Iterable

_SHOWN = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question such as `" Did you mean 'a' or 'b'?"`, or nothing where no known name is near.

    >>> did_you_mean("buty", ["beauty", "demo"])
    " Did you mean 'beauty'?"
    >>> did_you_mean("xyz", ["beauty", "demo"])
    ''
    """
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), _SHOWN)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
