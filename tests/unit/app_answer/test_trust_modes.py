"""The four modes on the whole read path, over a real database and a scripted decoder."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest

from app.answer import vote
from app.answer.types import (
    AnswerEvent,
    Assessed,
    CachePlanned,
    Completed,
    Failed,
    Question,
    RunStarted,
    Trust,
    Verdict,
)
from app.bootstrap import Container, open_container
from app.decoder.quotes import OpenPair
from app.decoder.types import GenerationParams
from app.errors import ServerBusy, VerdictNotFound
from reliability.alignment import Alignment
from tests.fakes.app import make_settings, use_fakes
from tests.fakes.decoder import FakeDecoder

pytestmark = pytest.mark.anyio

T = TypeVar("T")

TEXTS = {
    "alpha": "The pool opens at 7:00, says alpha.",
    "beta": "In the morning the pool opens at 7:00 (beta's page).",
    "gamma": "Signs of gamma: the pool opens at 9:00.",
    "delta": "The pool has blue tiles, delta adds.",
}


@pytest.fixture
def decoder() -> FakeDecoder:
    fake = FakeDecoder("The pool opens at 7:00.")
    fake.votes = {"gamma:": "9:00", "delta": "I don't know."}
    return fake


@pytest.fixture
async def container(
    tmp_path: Path, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Container]:
    use_fakes(monkeypatch, decoder)
    settings = make_settings(tmp_path / "data", passages=2)
    async with open_container(settings, lambda _: None) as opened:
        collection = await opened.collections.create("town")
        for name, text in TEXTS.items():
            await opened.ingest.accept(collection.id, name, f"{name}.txt", text.encode(), None)
        opened.worker.submit()
        await opened.worker.wait_idle()
        for source, reliability in (("alpha", 0.9), ("beta", 0.8), ("gamma", 0.02)):
            row = await opened.sources.find(source)
            await opened.sources.set_reliability(row.id, reliability)
        yield opened


async def ask(container: Container, trust: Trust | None, **values: object) -> list[AnswerEvent]:
    question = Question("When does the pool open?", "town", trust=trust, **values)  # type: ignore[arg-type]
    return [event async for event in container.answers.answer(question)]


def only(events: list[AnswerEvent], kind: type[T]) -> T:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


async def test_plain_knows_no_reliability(container: Container, decoder: FakeDecoder) -> None:
    events = await ask(container, "plain")
    assessed = only(events, Assessed)
    assert {item.reason for item in assessed.dropped} == {"over_limit"}
    assert all(p.bias == 0 and p.tag == "" for p in decoder.requests[0].passages)
    assert only(events, RunStarted).trust == "plain"


async def test_weighted_is_the_default_and_leaves_the_distrusted_out(
    container: Container, decoder: FakeDecoder
) -> None:
    events = await ask(container, None)
    assert only(events, RunStarted).trust == "weighted"
    assessed = only(events, Assessed)
    assert "source_distrusted" in {item.reason for item in assessed.dropped}
    assert all(p.bias == 0 for p in decoder.requests[0].passages)
    verdict = only(events, Verdict)
    assert verdict.kind == "answer"
    assert events[-2:] == [verdict, only(events, Completed)]
    run = await container.runs.get(only(events, Completed).run_id)
    assert run.trust == "weighted"
    assert run.reliability_version == 0
    assert run.verdict is not None
    assert run.verdict["probability"] == pytest.approx(verdict.probability, abs=1e-4)


async def test_a_strength_above_zero_biases_passages(
    container: Container, decoder: FakeDecoder
) -> None:
    container.answers._trust_bias = 1.0
    await ask(container, "weighted")
    one, other = (passage.bias for passage in decoder.requests[0].passages)
    assert max(one, other) == 0 > min(one, other)


async def test_tagged_says_it_beside_the_question(
    container: Container, decoder: FakeDecoder
) -> None:
    await ask(container, "tagged")
    assert {p.tag for p in decoder.requests[0].passages} == {"alpha: high", "beta: high"}


async def test_a_vote_asks_each_source_alone(container: Container, decoder: FakeDecoder) -> None:
    events = await ask(container, "vote")
    asked = [request for round_ in decoder.rounds for request in round_]
    assert all(len(request.passages) == 1 for request in asked)
    assert all(request.params.stop == ("\n",) for request in asked)
    assert decoder.requests == []
    verdict = only(events, Verdict)
    assert verdict.kind == "answer"
    assert verdict.answers[0].sources == ("alpha", "beta")
    completed = only(events, Completed)
    assert completed.answer == "The pool opens at 7:00."
    assert completed.citations
    assert completed.tokens.prompt == completed.tokens.exact_prefix + completed.tokens.fresh
    assert completed.tokens.generated > 0
    plan = [event for event in events if isinstance(event, CachePlanned)][-1]
    assert (plan.policy, plan.reason) == ("vote", "vote")
    assert sum(segment.tokens for segment in plan.segments) == plan.tokens.prompt
    assert plan.tokens.prompt == completed.tokens.prompt
    run = await container.runs.get(completed.run_id)
    assert (run.trust, run.policy, run.answer) == ("vote", "vote", completed.answer)


async def test_a_vote_goes_on_while_it_is_open(container: Container, decoder: FakeDecoder) -> None:
    decoder.script = "I don't know."
    decoder.votes = {}
    events = await ask(container, "vote")
    assert len(decoder.rounds) == 2  # of two each, the distrusted left out
    assert only(events, Verdict).kind == "abstain"
    assert only(events, Completed).answer == "The passages do not answer this."
    assert only(events, Completed).citations == ()


class Judge:
    """Holds that passages state these answers and no other; notes what it was asked."""

    def __init__(self, *stated: str, is_busy: bool = False) -> None:
        self.stated = stated
        self.is_busy = is_busy
        self.asked: list[OpenPair] = []

    async def judge(self, pairs: Sequence[OpenPair]) -> list[Alignment]:
        self.asked += pairs
        if self.is_busy:
            raise ServerBusy("busy")
        return [Alignment(0.8 * (pair.answer in self.stated), "quote") for pair in pairs]


async def test_a_vote_asks_a_judge_about_what_wording_leaves_open(
    container: Container, decoder: FakeDecoder
) -> None:
    decoder.script = "I don't know."
    decoder.votes = {"alpha": "soon after dawn", "beta": "never on any day"}
    judge = container.answers._judge = Judge("soon after dawn")
    # A newcomer's word could not turn the vote, and would not be asked for.
    await container.sources.set_reliability((await container.sources.find("delta")).id, 0.6)
    events = await ask(container, "vote")
    votes = {heard.source: heard for heard in only(events, Verdict).votes}
    assert {(p.answer, p.text) for p in judge.asked} == {
        ("soon after dawn", TEXTS["alpha"]),
        ("never on any day", TEXTS["beta"]),
    }
    assert len(judge.asked) == 2  # each once, whatever rounds follow
    assert votes.keys() == {"alpha"}
    assert (votes["alpha"].rung, votes["alpha"].alignment) == ("quote", 0.8)
    run = await container.runs.get(only(events, Completed).run_id)
    assert run.verdict is not None
    assert '"rung": "quote"' in json.dumps(run.verdict)
    assert (await container.answers.explain(run.id))["kind"]


async def test_a_vote_asks_a_judge_about_so_many_and_no_more(
    container: Container, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vote, "MAX_JUDGED", 1)
    decoder.script, decoder.votes = "some day or other", {}
    judge = container.answers._judge = Judge()
    assert only(await ask(container, "vote"), Verdict).kind == "abstain"
    assert len(judge.asked) == 1


async def test_a_busy_judge_changes_nothing(container: Container, decoder: FakeDecoder) -> None:
    decoder.votes |= {"alpha": "some day or other"}
    without = only(await ask(container, "vote"), Verdict)
    judge = container.answers._judge = Judge(is_busy=True)
    assert only(await ask(container, "vote"), Verdict).answers == without.answers
    assert judge.asked


async def test_a_vote_that_is_left_stops_the_model(
    container: Container, decoder: FakeDecoder
) -> None:
    decoder.pause = 30.0
    question = Question("When does the pool open?", "town", trust="vote")
    async with aclosing(container.answers.answer(question)) as events:
        async for event in events:
            if isinstance(event, Assessed):
                break
    (run,) = await container.runs.recent(1)
    assert run.finish_reason == "cancelled"
    assert run.verdict is None
    with pytest.raises(VerdictNotFound):
        await container.answers.explain(run.id)


async def test_an_error_while_voting_ends_the_answer(
    container: Container, decoder: FakeDecoder
) -> None:
    decoder.error = RuntimeError("broken")
    failed = only(await ask(container, "vote"), Failed)
    assert failed.code == "internal_error"


async def test_passages_too_long_to_be_asked_alone_are_left_out(
    container: Container, decoder: FakeDecoder
) -> None:
    decoder.context_len = 20
    events = await ask(container, "vote", params=GenerationParams(max_tokens=4))
    assert {item.reason for item in only(events, Assessed).dropped} >= {"context_full"}
    assert only(events, Completed).finish_reason == "no_match"


async def test_deleting_a_document_takes_the_verdict_too(container: Container) -> None:
    run_id = only(await ask(container, "vote"), Completed).run_id
    assert (await container.answers.explain(run_id))["kind"] == "answer"
    verdict = (await container.runs.get(run_id)).verdict
    assert verdict is not None
    votes = verdict["votes"]
    assert isinstance(votes, list)
    await container.deletions.delete(votes[0]["document_id"])
    with pytest.raises(VerdictNotFound):
        await container.answers.explain(run_id)
