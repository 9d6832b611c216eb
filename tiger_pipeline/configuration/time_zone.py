"""The time zone of schedules."""

import os
import zoneinfo

from tiger_pipeline.errors import ConfigurationError


def schedule_time_zone() -> str:
    """The IANA name in `TIGER_TIMEZONE`, such as `Europe/Berlin`; `UTC` if it is not set.

    Raises:
        ConfigurationError: there is no such time zone.
    """
    name = os.environ.get("TIGER_TIMEZONE") or "UTC"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"TIGER_TIMEZONE is {name!r}, which is no time zone of this machine. Give an IANA name "
            "such as Europe/Berlin, or leave it unset for UTC."
        ) from error
    return name
