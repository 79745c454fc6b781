"""Peak memory of processes, sampled: what they alone use, without what they share."""

import threading
from types import TracebackType

import psutil

_INTERVAL_SECONDS = 0.05


class Peak:
    """While entered, samples the memory of the processes and all that they start; `mib` is the peak above the start."""

    def __init__(self, *pids: int) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._start = self._used()
        self._peak = self._start

    @property
    def mib(self) -> float:
        """The peak above what was used at the start, in MiB."""
        return (self._peak - self._start) / 2**20

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_INTERVAL_SECONDS):
            self._peak = max(self._peak, self._used())

    def _used(self) -> int:
        total = 0
        for root in self._roots:
            try:
                processes = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in processes:
                try:
                    total += process.memory_full_info().uss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
        return total
