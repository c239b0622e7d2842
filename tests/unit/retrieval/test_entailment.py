"""A cross-encoder for natural language inference, by the labels in its configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.entailment import EntailmentModel, entailment_label
from retrieval.errors import EntailmentMissing
from tests.support.cross_encoder import save_cross_encoder

pytestmark = pytest.mark.anyio

NLI = ("contradiction", "entailment", "neutral")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A model of one small layer with weights by chance and these labels."""

    def made(*labels: str) -> Path:
        return save_cross_encoder(
            tmp_path_factory.mktemp("nli"),
            initializer_range=1.0,
            id2label=dict(enumerate(labels)),
            label2id={label: place for place, label in enumerate(labels)},
        )

    return made


async def test_chances_are_those_of_the_entailment_label(make: Callable[..., Path]) -> None:
    pairs = [("The mill burned.", "It burned."), ("word " * 2000, "It stands.")]
    of_place = []
    for labels in (NLI, ("entailment", "neutral", "contradiction"), (*NLI[::2], "ENTAILMENT")):
        chances = await EntailmentModel(make(*labels)).chances(pairs)
        assert all(0 < chance < 1 for chance in chances)
        of_place.append(chances)
    sums = [sum(found) for found in zip(*of_place, strict=True)]  # the same weights, each label
    assert sums == pytest.approx([1.0, 1.0], abs=1e-5)
    assert await EntailmentModel(make(*NLI)).chances([]) == []


async def test_a_model_without_that_label_is_refused_by_name(make: Callable[..., Path]) -> None:
    folder = make("LABEL_0", "LABEL_1", "LABEL_2")
    with pytest.raises(EntailmentMissing, match=rf"{folder.name}.*LABEL_0, LABEL_1, LABEL_2"):
        EntailmentModel(folder)


def test_labels_are_told_apart() -> None:
    folder = Path("m")
    assert entailment_label(folder, {0: "not_entailment", 1: "entailment"}) == 1
    assert entailment_label(folder, {0: "ENTAILMENT", 1: "Neutral", 2: "Contradiction"}) == 0
    for names in ({0: "entailment"}, {0: "entailment", 1: "entails"}, {0: "non-entailment"}, {}):
        with pytest.raises(EntailmentMissing, match="label"):
            entailment_label(folder, names)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EntailmentMissing, match="LARDER_ALIGNMENT_MODEL"):
        EntailmentModel(tmp_path)
