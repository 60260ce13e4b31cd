"""Threads that decode and threads that run the network, and the one thread that hears what they did."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event, Semaphore

from mrlspk.inference.backend import Backend
from mrlspk.inference.graph_backend import usable_processors

MOST_DECODERS = 8


class StoppedError(Exception):
    """The results of a task are no longer wanted."""


class Workers:
    """Two pools of threads. Their owner calls `decode`, `embed`, `handle` and `close`, all from one thread.

    Args:
        decoders: Threads that decode.
        embedders: Threads that run the network.

    Attributes:
        n_decoders: Threads that decode.
        window_slots: One for each window of long recordings in memory: one a thread of the network, and one to come.
    """

    def __init__(self, *, decoders: int, embedders: int) -> None:
        self.n_decoders, self.window_slots = decoders, Semaphore(embedders + 1)
        self._decoding = ThreadPoolExecutor(decoders, thread_name_prefix="mrlspk-decode")
        self._embedding = ThreadPoolExecutor(embedders, thread_name_prefix="mrlspk-embed")
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping, self._n_tasks = Event(), 0

    @property
    def are_busy(self) -> bool:
        """Whether a task has not ended yet."""
        return self._n_tasks > 0

    def decode[T](self, task: Callable[[], T], on_done: Callable[[Future[T]], None]) -> None:
        """Run a task in a thread that decodes; ``on_done`` is called by `handle`."""
        self._watch(self._decoding.submit(task), on_done)

    def embed[T](self, task: Callable[[], T], on_done: Callable[[Future[T]], None]) -> None:
        """Run a task in a thread of the network; ``on_done`` is called by `handle`."""
        self._watch(self._embedding.submit(task), on_done)

    def embed_window[T](self, task: Callable[[], T]) -> Future[T]:
        """Run a task in a thread of the network, for a task that decodes and holds a slot, which is given back."""
        future = self._embedding.submit(task)
        future.add_done_callback(lambda _: self.window_slots.release())
        return future

    def tell(self, event: Callable[[], None]) -> None:
        """Let `handle` call ``event``; from any thread."""
        self._events.put(event)

    def check(self) -> None:
        """Return, in a task, whether to go on.

        Raises:
            StoppedError: If its result is no longer wanted.
        """
        if self._stopping.is_set():
            raise StoppedError

    def handle(self, *, wait: bool) -> None:
        """Call what tasks have told; with ``wait``, wait for one to tell something."""
        if wait:
            self._events.get()()
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                return
            event()

    def close(self) -> None:
        """End all threads: those that run a task stop at its next block or batch, the other tasks are dropped."""
        self._stopping.set()
        pools = self._decoding, self._embedding
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            pool.shutdown()

    def _watch[T](self, future: Future[T], on_done: Callable[[Future[T]], None]) -> None:
        def ended() -> None:
            self._n_tasks -= 1
            on_done(future)

        self._n_tasks += 1
        future.add_done_callback(lambda _: self.tell(ended))


def uses_whole_device(backend: Backend) -> bool:
    """Return whether one call uses all processors, or a GPU."""
    return backend.concurrency == 1 or not _on_cpu(backend)


def workers_for(backend: Backend) -> Workers:
    """Return threads that keep a backend busy, and no more than the machine has processors for.

    A backend that is called by one thread at a time uses all processors itself: one thread decodes beside it. A GPU
    needs none of them, so all decode.
    """
    decoders = 1 if _on_cpu(backend) and backend.concurrency == 1 else min(usable_processors(), MOST_DECODERS)
    return Workers(decoders=decoders, embedders=backend.concurrency)


def _on_cpu(backend: Backend) -> bool:
    return backend.runtime.get("device", "cpu") == "cpu"
