"""What reuse saved one request: the one rule by which every place counts it."""


def saved_ms(
    mode: str, from_store: int, prefill_ms: float | None, full_prefill_ms: float | None
) -> float:
    """A full prefill, as estimated, minus what was spent until the first token: look-ups, loading,
    placing and everything computed anew. Milliseconds; negative where reuse did not pay.

    Zero in mode `off`, where no token came `from_store`, and where a time was not measured.
    """
    if mode == "off" or from_store == 0 or prefill_ms is None or full_prefill_ms is None:
        return 0.0
    return full_prefill_ms - prefill_ms
