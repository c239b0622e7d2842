"""What is stored of a run: a fold over its events, so that a broken-off one is stored too."""

from app.answer.types import (
    AnswerEvent,
    AnswerFinish,
    CachePlanned,
    Cited,
    Completed,
    Delta,
    Failed,
    Retrieved,
    Verdict,
)
from app.answer.wire import JsonObject, event_data
from app.db.rows import RunResult, RunTokens


class RunRecord:
    """Takes the events in order; `result` may be asked for at any time."""

    def __init__(self, reliability_version: int = 0) -> None:
        """With the version that was served when the question came."""
        self._version = reliability_version
        self._passages: tuple[JsonObject, ...] = ()
        self._plan: CachePlanned | None = None
        self._texts: list[str] = []
        self._citations: list[JsonObject] = []
        self._verdict: Verdict | None = None
        self._completed: Completed | None = None
        self._finish: AnswerFinish = "cancelled"  # until an event says otherwise

    def note(self, event: AnswerEvent) -> None:
        match event:
            case Retrieved():
                self._passages = tuple(_items(event_data(event)["passages"]))
            case CachePlanned():
                self._plan = event
            case Delta():
                self._texts.append(event.text)
            case Cited():
                self._citations.append(event_data(event))
            case Verdict():
                self._verdict = event
            case Completed():
                self._completed = event
                self._finish = event.finish_reason
            case Failed():
                self._finish = "error"

    def result(self) -> RunResult:
        plan, verdict, completed = self._plan, self._verdict, self._completed
        return RunResult(
            answer=completed.answer if completed else "".join(self._texts),
            finish_reason=self._finish,
            tokens=completed.tokens if completed else self._tokens_so_far(),
            timings_ms=completed.timings_ms if completed else {},
            prefill_ms=plan.prefill_ms if plan else None,
            full_prefill_ms_estimate=plan.full_prefill_ms_estimate if plan else None,
            policy=plan.policy if plan else None,
            ratio=plan.ratio if plan else None,
            plan=event_data(plan) if plan else None,
            passages=self._passages,
            citations=tuple(self._citations),
            verdict=event_data(verdict) if verdict else None,
            reliability_version=verdict.reliability_version if verdict else self._version,
        )

    def _tokens_so_far(self) -> RunTokens:
        """The prompt's counts; how many tokens a broken-off answer had is not known."""
        if self._plan is None:
            return RunTokens()
        counts = self._plan.tokens
        return RunTokens(
            counts.prompt, counts.exact_prefix, counts.reused, counts.recomputed, counts.fresh
        )


def _items(value: object) -> list[JsonObject]:
    return value if isinstance(value, list) else []
