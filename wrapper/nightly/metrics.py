"""Sending a run's metrics to StatsD without letting a host fail or delay the run."""

import contextlib
import threading

from statsd import StatsClient

from wrapper.nightly.run_log import Entry
from wrapper.settings import Settings

_PREFIX = "signal_glaze"
# Name resolution has no time limit of its own.
_PATIENCE_SECONDS = 1.0


def send(settings: Settings, entry: Entry, stale_highlights: int | None) -> None:
    """Send a finished run's metrics to the host of the settings, if they name one, within a second.

    Only runs that succeeded or failed send any, and dry runs never do. `stale_highlights` is the number of bios to
    rewrite, or None if the run did not count them.
    """
    if settings.statsd_host is None or entry.dry_run or entry.status not in {"success", "failed"}:
        return
    arguments = (settings.statsd_host, settings.statsd_port, entry, stale_highlights)
    thread = threading.Thread(target=_send, args=arguments, daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)


def _send(host: str, port: int, entry: Entry, stale_highlights: int | None) -> None:
    with contextlib.suppress(OSError, UnicodeError), _client(host, port).pipeline() as metrics:
        if entry.status == "failed":
            metrics.incr("snapshot_failures")
        else:
            metrics.incr("snapshots_generated", entry.generated or 0)
            metrics.incr("snapshots_changed", entry.changed or 0)
        if stale_highlights is not None:
            metrics.gauge("highlights_stale_now", stale_highlights)
        metrics.timing("snapshot_duration", (entry.duration_seconds or 0) * 1000)


def _client(host: str, port: int) -> StatsClient:
    try:
        return StatsClient(host, port, prefix=_PREFIX)
    except OSError:
        # The host has only an IPv6 address.
        return StatsClient(host, port, prefix=_PREFIX, ipv6=True)
