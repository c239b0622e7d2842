"""Sources asked side by side against plain runs of transformers, prompt by prompt."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import DynamicCache, PreTrainedModel

from kvstore import reasons
from kvstore.encodings import find_encoding
from kvstore.plain import PlainBallot, PlainEngine
from kvstore.reuse import ReuseEngine
from kvstore.store import Lookup
from kvstore.types import ReuseOptions, Segment
from kvstore.vote import Ballot
from tests.support.tiny_models import FRAME, chunk_segments, draw_ids, ids_of

AUTO, OFF = ReuseOptions(), ReuseOptions(mode="off")
STEPS = 12
TOLERANCE = 1e-4

TokenIds = tuple[int, ...]


def prompt(chunks: Sequence[TokenIds], question: int = 9) -> list[Segment]:
    asked = Segment("question", draw_ids(question, 90 + question))
    return [Segment("prefix", FRAME.prefix), *chunk_segments(chunks), asked]


def store_all(engine: ReuseEngine, chunks: Sequence[TokenIds]) -> None:
    assert all(report.reason is None for report in engine.precompute(chunk_segments(chunks)))


@torch.inference_mode()
def plain_run(model: PreTrainedModel, ids: list[int], steps: int) -> list[torch.Tensor]:
    """Logits [V] before each greedy token, from stock transformers alone."""
    cache = DynamicCache(config=model.config)
    logits = model(torch.tensor([ids]), past_key_values=cache).logits[0, -1]
    found = [logits]
    while len(found) < steps:
        token = logits.argmax().reshape(1, 1)
        logits = model(token, past_key_values=cache).logits[0, -1]
        found.append(logits)
    return found


def run(ballot: Ballot | PlainBallot, steps: Sequence[int]) -> list[list[torch.Tensor]]:
    """Logits before each greedy token, by branch; branch b is closed after `steps[b]` tokens."""
    found: list[list[torch.Tensor]] = [[] for _ in steps]
    while ballot.open:
        for row, branch in enumerate(ballot.open):
            found[branch].append(ballot.logits[row])
        for branch in list(ballot.open):
            if len(found[branch]) == steps[branch]:
                ballot.close(branch)
        if ballot.open:
            ballot.extend(ballot.logits.argmax(-1).tolist())
    return found


def assert_equal(got: list[torch.Tensor], want: list[torch.Tensor]) -> None:
    for mine, plain in zip(got, want, strict=True):
        assert float((mine - plain).abs().max()) <= TOLERANCE
        assert int(mine.argmax()) == int(plain.argmax())


def test_branches_equal_plain_runs_prompt_by_prompt(
    engine: ReuseEngine, plain_model: PreTrainedModel, chunks: list[TokenIds]
) -> None:
    """Stored, not stored, several chunks, none at all; questions and answers of several lengths.

    With the question the longest exceed the window of the families that have one.
    """
    store_all(engine, chunks[:3])
    prompts = [
        prompt(chunks[:1]),
        prompt(chunks[1:2], question=5),
        prompt(chunks[2:3], question=14),
        prompt(chunks[3:]),
        prompt([chunks[0], chunks[3]]),
        prompt([], question=7),
    ]
    steps = [STEPS, 3, STEPS, 5, 1, STEPS]
    ballot = engine.vote(prompts, AUTO, max_tokens=STEPS)
    for segments, count, got in zip(prompts, steps, run(ballot, steps), strict=True):
        assert_equal(got, plain_run(plain_model, ids_of(segments), count))


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_what_is_stored_is_not_computed_again(engine: ReuseEngine, chunks: list[TokenIds]) -> None:
    store_all(engine, chunks)
    prompts = [prompt([chunk]) for chunk in chunks]
    for segments, report in zip(
        prompts, engine.vote(prompts, AUTO, max_tokens=1).reports, strict=True
    ):
        lengths = [len(segment.token_ids) for segment in segments]
        assert report.tokens.prompt == sum(lengths)
        assert report.tokens.exact_prefix == sum(lengths[:2])
        assert report.tokens.fresh == lengths[2]
        assert report.tokens.reused == report.tokens.recomputed == 0
        found = [(s.action, s.reason, s.encoding) for s in report.segments]
        assert found == [
            ("exact", reasons.EXACT_PREFIX, None),
            ("exact", reasons.FIRST_CHUNK, "head"),
            ("computed", reasons.QUESTION, None),
        ]


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_without_reuse_everything_is_computed_and_says_the_same(
    engine: ReuseEngine, chunks: list[TokenIds]
) -> None:
    store_all(engine, chunks)
    prompts = [prompt([chunk]) for chunk in chunks]
    warm, cold = (engine.vote(prompts, options, max_tokens=4) for options in (AUTO, OFF))
    assert [r.tokens.fresh for r in cold.reports] == [r.tokens.prompt for r in cold.reports]
    assert {s.reason for r in cold.reports for s in r.segments} == {
        reasons.MODE_OFF,
        reasons.QUESTION,
    }
    for mine, plain in zip(run(warm, [4] * 4), run(cold, [4] * 4), strict=True):
        assert_equal(mine, plain)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_rows_that_a_codec_rounded_are_computed_anew(
    engine: ReuseEngine,
    plain_model: PreTrainedModel,
    chunks: list[TokenIds],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_all(engine, chunks[:1])
    lookup = engine.store.lookup

    def rounded(token_ids: TokenIds, context: Sequence[str]) -> Lookup:
        found = lookup(token_ids, context)
        if found.entry is None or not context:
            return found
        return replace(found, entry=replace(found.entry, lossless=False))

    monkeypatch.setattr(engine.store, "lookup", rounded)
    segments = prompt(chunks[:1])
    ballot = engine.vote([segments], AUTO, max_tokens=2)
    assert ballot.reports[0].tokens.exact_prefix == len(FRAME.prefix)
    assert_equal(run(ballot, [2])[0], plain_run(plain_model, ids_of(segments), 2))


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_stored_rows_stay_as_they_are(engine: ReuseEngine, chunks: list[TokenIds]) -> None:
    store_all(engine, chunks[:1])
    entry = engine.store.lookup(
        chunks[0], find_encoding("head").key_context(FRAME, Segment("chunk", chunks[0]))
    ).entry
    assert entry is not None
    before = (entry.keys.clone(), entry.values.clone())
    run(engine.vote([prompt(chunks[:1])] * 2, AUTO, max_tokens=3), [3, 3])
    assert torch.equal(before[0], entry.keys)
    assert torch.equal(before[1], entry.values)


@pytest.mark.parametrize("family", ["llama", "gemma3"], indirect=True)
def test_a_model_without_chunk_reuse_asks_one_after_the_other(
    plain_model: PreTrainedModel, chunks: list[TokenIds]
) -> None:
    prompts = [prompt([chunk]) for chunk in chunks]
    ballot = PlainEngine(plain_model, reasons.MODEL_UNSUPPORTED).vote(prompts, AUTO, max_tokens=4)
    assert [r.tokens.fresh for r in ballot.reports] == [len(ids_of(p)) for p in prompts]
    steps = [4, 2, 1, 3]
    for segments, count, got in zip(prompts, steps, run(ballot, steps), strict=True):
        assert_equal(got, plain_run(plain_model, ids_of(segments), count))


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_more_tokens_than_asked_for_are_refused(
    engine: ReuseEngine, chunks: list[TokenIds]
) -> None:
    ballot = engine.vote([prompt(chunks[:1])], AUTO, max_tokens=1)
    ballot.extend([5])
    with pytest.raises(ValueError, match="do not fit"):
        ballot.extend([5])


@torch.inference_mode()
def plain_likelihood(model: PreTrainedModel, segments: Sequence[Segment]) -> float:
    """Of the last segment's tokens but the first, from stock transformers alone."""
    ids, asked = ids_of(segments), segments[-1].token_ids
    chances = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    first = len(ids) - len(asked) + 1
    return sum(float(chances[at - 1, ids[at]]) for at in range(first, len(ids))) / (len(asked) - 1)


def test_likelihoods_of_questions_equal_plain_runs(
    engine: ReuseEngine, plain_model: PreTrainedModel, chunks: list[TokenIds]
) -> None:
    """Stored and not stored, one question and several: what is reused changes nothing."""
    store_all(engine, chunks[:3])
    prompts = [prompt([chunk]) for chunk in chunks]
    prompts += [prompt(chunks[1:2], question=5), prompt([chunks[0], chunks[3]]), prompt([])]
    want = [plain_likelihood(plain_model, segments) for segments in prompts]
    assert engine.likelihoods(prompts) == pytest.approx(want, abs=TOLERANCE)
    assert PlainEngine(plain_model, "x").likelihoods(prompts) == pytest.approx(want, abs=TOLERANCE)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_a_question_of_one_token_says_nothing(engine: ReuseEngine) -> None:
    assert engine.likelihoods([prompt([], question=1)]) == [0.0]
