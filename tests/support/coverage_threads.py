"""Measuring coverage of threads without a loop that never ends on CPython 3.11."""

import threading
from typing import Any

from coverage.collector import Collector

LOOP_THREAD = "event loop"  # begins the name of a thread that runs one


def follow_greenlets_in_loops_only() -> None:
    """From here on, only threads named `LOOP_THREAD…` and the main one are asked for greenlets.

    Coverage keeps its place for every greenlet of a thread in a dictionary of weak keys, and
    asking a thread for its greenlet makes one. When the thread ends, greenlet frees it in a
    pending call of the main thread, where the dictionary's callback, Python code, is traced.
    CPython 3.11 then begins the traced callback again for as long as a pending call waits, and
    none is run inside another: where two threads end at once, that is for ever. Only code on
    SQLAlchemy's asynchronous engine has greenlets, and it runs in event loops.
    """
    start = Collector._start_tracer

    def start_tracer(self: Collector) -> Any:
        tracer = start(self)
        thread = threading.current_thread()
        if thread is not threading.main_thread() and not thread.name.startswith(LOOP_THREAD):
            tracer.concur_id_func = None  # not asked yet: inside a trace function nothing is traced
        return tracer

    Collector._start_tracer = start_tracer  # type: ignore[method-assign]
