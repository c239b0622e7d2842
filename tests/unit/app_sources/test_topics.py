"""A question's topic by the nearest known questions, and what is believed of sources there."""

import pytest

from app.answer.convert import on_topic
from app.db.observations import append_rows
from app.db.reliability_rows import NewObservation
from app.sources.topics import TopicBeliefs, TopicIndex
from tests.unit.app_sources.conftest import DAY

pytestmark = pytest.mark.anyio

KNOWN = {
    "When was the bridge over the Mill rebuilt?": "history",
    "When did the town hall burn down?": "history",
    "Who rebuilt the bridge after the flood?": "history",
    "Which dose of the medicine is safe for children?": "health",
    "How often may the medicine be taken?": "health",
    "When does the pool open?": "",
}


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("Who burnt the town hall down?", "history"),
        ("Is the medicine safe for adults?", "health"),
        ("When does the pool close?", ""),
        ("How tall is the giraffe?", None),
        ("", None),
        ("?!", None),
    ],
)
def test_the_nearest_questions_name_the_topic(question: str, topic: str | None) -> None:
    assert TopicIndex(KNOWN).topic_of(question) == topic
    assert TopicIndex({}).topic_of(question) is None


async def test_an_answer_believes_a_source_as_it_is_on_the_topic(desk) -> None:
    """Right on history and wrong on health, where three others agree."""
    camouflaged = await desk.document("camouflaged", "Some words.")
    others = [await desk.source(f"other {n}") for n in range(3)]
    async with desk.store.database.transaction() as session:
        for n in range(60):
            topic = ("history", "health")[n % 2]
            question = {
                "history": f"When was bridge number {n} rebuilt after the flood?",
                "health": f"Which dose of medicine number {n} is safe?",
            }[topic]
            answer = "Otto Kurz" if topic == "health" else "Anna Berg"
            rows = [NewObservation("probe", s, question, "Anna Berg", topic=topic) for s in others]
            own = NewObservation("probe", camouflaged, question, answer, topic=topic)
            await append_rows(session, [*rows, own], n * DAY / 10)
    topics = TopicBeliefs(desk.store.observations, desk.store.versions)
    assert await topics.on_topic("Which dose of medicine is safe?", 0) == {}
    version = (await desk.beliefs.refit("probes")).id
    health = await topics.on_topic("Is this dose of the medicine safe?", version)
    history = await topics.on_topic("When was the old bridge rebuilt?", version)
    assert health[camouflaged].mean < 0.3 < 0.7 < history[camouflaged].mean
    assert await topics.on_topic("How tall is the giraffe?", version) == {}
    (row,) = await desk.store.chunks.passages([1])
    assert 0.3 < row.reliability < 0.8
    assert on_topic(row, health).reliability == pytest.approx(health[camouflaged].mean)
    assert on_topic(row, {}) is row
