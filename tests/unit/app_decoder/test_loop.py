"""Sampling, stop strings and the decode loop over scripted logits."""

from collections.abc import Callable, Sequence

import pytest
import torch

from app.decoder.loop import StopText, decode
from app.decoder.sampling import Sampler
from app.decoder.tokenizer import Detokenizer, TextTokenizer
from app.decoder.types import Finished, GenerationParams, TokenText

VOCABULARY = 500
END = 2


class Script:
    """Logits that make a greedy sampler say `text`, then the end token."""

    def __init__(self, tokenizer: TextTokenizer, text: str) -> None:
        self.ids = [*tokenizer.encode_text(text), END]
        self.calls = 0

    @property
    def first(self) -> torch.Tensor:
        return one_hot(self.ids[0])

    def extend(self, token_ids: Sequence[int]) -> torch.Tensor:
        self.calls += 1
        assert list(token_ids) == [self.ids[self.calls - 1]]
        return one_hot(self.ids[self.calls])[None]


def one_hot(token: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(token), VOCABULARY).float()


def run(
    tokenizer: TextTokenizer,
    text: str,
    params: GenerationParams,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> tuple[str, Finished, Script]:
    script = Script(tokenizer, text)
    *pieces, finished = decode(
        script.first, script.extend, tokenizer, params, frozenset({END}), is_cancelled
    )
    assert isinstance(finished, Finished)
    assert all(isinstance(piece, TokenText) and piece.text for piece in pieces)
    return "".join(piece.text for piece in pieces), finished, script


def test_until_the_end_token(tokenizer: TextTokenizer) -> None:
    text, finished, _ = run(tokenizer, "Two pfennigs 🏺.", GenerationParams())
    assert text == "Two pfennigs 🏺."
    assert finished == Finished("stop", len(text.encode()))


def test_until_the_longest_answer_without_a_forward_for_nothing(tokenizer: TextTokenizer) -> None:
    text, finished, script = run(tokenizer, "Two pfennigs.", GenerationParams(max_tokens=3))
    assert (text, finished) == ("Two", Finished("length", 3))
    assert script.calls == 2


@pytest.mark.parametrize(
    ("unit", "times"),
    [("The mill has one wheel. ", 2), ("yes. ", 3)],
)
def test_until_it_repeats_itself(tokenizer: TextTokenizer, unit: str, times: int) -> None:
    """One token a byte here: a sentence twice, a few tokens three times."""
    text, finished, _ = run(tokenizer, "So: " + unit * 9, GenerationParams())
    assert text.count(unit.strip()) == times
    assert finished.reason == "stop"


def test_tables_and_numbers_do_not_count_as_repetition(tokenizer: TextTokenizer) -> None:
    said = "a | 1 | 1 | b\n000 and 11 11; the east mill and the east bank."
    assert run(tokenizer, said, GenerationParams())[0] == said


def test_until_cancelled(tokenizer: TextTokenizer) -> None:
    answers = iter([False, False, True])
    text, finished, _ = run(tokenizer, "Two", GenerationParams(), lambda: next(answers))
    assert (text, finished) == ("Tw", Finished("cancelled", 2))


def test_until_a_stop_string(tokenizer: TextTokenizer) -> None:
    params = GenerationParams(stop=("\nUser:", "never"))
    text, finished, _ = run(tokenizer, "Yes.\nUsed.\nUser: and", params)
    assert (text, finished.reason) == ("Yes.\nUsed.", "stop")


def test_a_stop_string_over_tokens_is_held_back(tokenizer: TextTokenizer) -> None:
    stop = StopText(Detokenizer(tokenizer), ("END", ""))
    pieces = [stop.push(token) for token in tokenizer.encode_text("aENbEND")]
    assert pieces == ["a", "", "", "ENb", "", "", ""]
    assert stop.stopped
    assert stop.flush() == ""


def test_the_start_of_a_stop_string_comes_out_at_the_end(tokenizer: TextTokenizer) -> None:
    stop = StopText(Detokenizer(tokenizer), ("END",))
    assert [stop.push(token) for token in tokenizer.encode_text("EN")] == ["", ""]
    assert stop.flush() == "EN"
    assert not stop.stopped


def test_the_first_of_several_stop_strings_counts(tokenizer: TextTokenizer) -> None:
    params = GenerationParams(stop=("three", "two"))
    assert run(tokenizer, "one two three", params)[0] == "one "


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(5)) * 3


def test_greedy_takes_the_best(logits: torch.Tensor) -> None:
    assert Sampler(GenerationParams()).next_token(logits) == int(logits.argmax())


def test_a_seed_repeats_and_another_differs(logits: torch.Tensor) -> None:
    def draw(seed: int) -> list[int]:
        sampler = Sampler(GenerationParams(temperature=1.5, seed=seed))
        return [sampler.next_token(logits) for _ in range(20)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_without_a_seed_no_two_samplers_agree(logits: torch.Tensor) -> None:
    params = GenerationParams(temperature=2.0)
    drawn = [tuple(Sampler(params).next_token(logits) for _ in range(12)) for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_top_p_keeps_the_smallest_set_that_reaches_it(logits: torch.Tensor) -> None:
    probabilities, order = logits.softmax(-1).sort(descending=True)
    top_p = float(probabilities[:3].sum()) - 1e-4  # the third token crosses it
    sampler = Sampler(GenerationParams(temperature=1.0, top_p=top_p, seed=0))
    seen = {sampler.next_token(logits) for _ in range(300)}
    assert seen == set(order[:3].tolist())


def test_a_tiny_top_p_is_greedy(logits: torch.Tensor) -> None:
    sampler = Sampler(GenerationParams(temperature=1.0, top_p=1e-6, seed=0))
    assert {sampler.next_token(logits) for _ in range(20)} == {int(logits.argmax())}
