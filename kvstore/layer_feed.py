"""Stored rows are placed by a thread of their own, a few layers at a time, ahead of the forward.

The forward waits for a layer only where it gets there first (Cache-Craft's L_p is then what the
first wait takes). Knows layers and a function that places them: no entries, no rows.
"""

import threading
from collections.abc import Callable
from types import TracebackType

from kvstore.errors import RowsLost

LAYERS_AT_ONCE = 3  # one at a time costs 30 layers * 8 passages * 0.1 ms of Python


class LayerFeed:
    """`place` is called for one slice of layers after the other, then `finish`. Leaving the context
    ends the thread, so that nobody writes into buffers which another prompt has by then."""

    def __init__(
        self, place: Callable[[slice], None], num_layers: int, finish: Callable[[], None]
    ) -> None:
        self._place = place
        self._finish = finish
        self._num_layers = num_layers
        self._ready = 0
        self._failure: Exception | None = None
        self._is_left = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="kv-place", daemon=True)

    def __enter__(self) -> "LayerFeed":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_left = error is not None
        self._thread.join()
        if error is None and self._failure is not None:
            raise RowsLost("stored rows could not be decoded") from self._failure

    def wait(self, layer: int) -> None:
        """Until the rows of this layer are in place. Raises RowsLost where they never will be."""
        if layer < self._ready:  # only grows
            return
        with self._changed:
            self._changed.wait_for(lambda: layer < self._ready or self._failure is not None)
        if layer >= self._ready:
            raise RowsLost("stored rows could not be decoded") from self._failure

    def _run(self) -> None:
        try:
            for start in range(0, self._num_layers, LAYERS_AT_ONCE):
                if self._is_left:
                    return
                end = min(start + LAYERS_AT_ONCE, self._num_layers)
                self._place(slice(start, end))
                self._tell(end, None)
            self._finish()
        except Exception as error:  # whatever it is, the forward must not wait for ever
            self._tell(self._ready, error)

    def _tell(self, ready: int, failure: Exception | None) -> None:
        with self._changed:
            self._ready, self._failure = ready, failure
            self._changed.notify_all()
