"""StatsD over UDP, sent so that no host can fail or delay a run."""

import contextlib
import socket
import threading

from wrapper.run_log import Entry
from wrapper.settings import Settings

_PREFIX = "signal_glaze"
# Time for a name server that answers; one that does not is left behind.
_PATIENCE_SECONDS = 1.0


def metrics(entry: Entry, stale_highlights: int | None) -> list[str]:
    """Return a finished run's metrics in StatsD's form; a dry run has none, nor one that did not work.

    `stale_highlights` is how many bios are to be rewritten, None where the run did not get so far.
    """
    if entry.dry_run or entry.status not in {"success", "failed"}:
        return []
    lines = []
    if entry.status == "failed":
        lines.append(f"{_PREFIX}.snapshot_failures:1|c")
    else:
        lines.append(f"{_PREFIX}.snapshots_generated:{entry.generated}|c")
        lines.append(f"{_PREFIX}.snapshots_changed:{entry.changed}|c")
    if stale_highlights is not None:
        lines.append(f"{_PREFIX}.highlights_stale_now:{stale_highlights}|g")
    lines.append(f"{_PREFIX}.snapshot_duration:{round((entry.duration_seconds or 0) * 1000)}|ms")
    return lines


def send(settings: Settings, entry: Entry, stale_highlights: int | None) -> None:
    """Send a run's metrics to the host of the settings, if they name one."""
    lines = metrics(entry, stale_highlights)
    if settings.statsd_host is None or not lines:
        return
    # A thread, since looking up a name has no time limit of its own.
    thread = threading.Thread(target=_send, args=(settings.statsd_host, settings.statsd_port, lines), daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)


def _send(host: str, port: int, lines: list[str]) -> None:
    with contextlib.suppress(OSError, UnicodeError):
        # StatsD listens on IPv4 unless told otherwise, and UDP does not say when nobody listens.
        found = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM), key=lambda a: a[0] != socket.AF_INET)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as sender:
            sender.setblocking(False)
            for line in lines:
                sender.sendto(line.encode("ascii"), address)
