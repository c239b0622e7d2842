"""What a curator is shown: open questions, sources that turned, sources that err alike."""

from app.sources.review import Reviewer
from app.sources.types import Label
from tests.unit.app_sources.conftest import Desk

RIGHT = "Anna Berg"


async def test_nothing_is_shown_where_nothing_was_observed(desk: Desk) -> None:
    found = await Reviewer(desk.beliefs).review()
    assert (found.questions, found.turned, found.suspected) == ((), (), ())


async def test_contested_questions_come_first_until_somebody_answers_them(desk: Desk) -> None:
    skills = {await desk.source(name): 1.0 for name in "abcd"}
    await desk.ask_many(skills, 12)
    a, b, c, d = skills
    await desk.ask("contested?", {a: "Otto Kurz", b: RIGHT, c: "Otto Kurz", d: RIGHT}, day=2)
    await desk.beliefs.refit("all")
    found = await Reviewer(desk.beliefs).review(limit=3)
    assert len(found.questions) == 3
    assert found.questions[0].question == "contested?"
    assert dict(found.questions[0].answers) == {"Otto Kurz": 2, RIGHT: 2}
    await desk.curator.label(Label("contested?", RIGHT, 1.0, "mara"))
    found = await Reviewer(desk.beliefs).review()
    assert "contested?" not in {item.question for item in found.questions}


async def test_who_turned_is_named_with_the_day(desk: Desk) -> None:
    names = {name: await desk.source(name) for name in "abcde"}
    for day in range(60):
        said: dict[int, str | None] = dict.fromkeys(names.values(), RIGHT)
        if day >= 40:
            said[names["e"]] = f"Otto {'KLMNP'[day % 5]}urz"
        await desk.ask(f"who on day {day}?", said, day=day)
    found = await Reviewer(desk.beliefs).review()
    (turned,) = found.turned
    assert turned.source_id == names["e"]
    assert abs(turned.since / 86400 - 40) <= 3


async def test_two_that_share_their_errors_are_suspected(desk: Desk) -> None:
    names = {name: await desk.source(name) for name in ("a", "b", "c", "one", "two")}
    for n in range(40):
        said: dict[int, str | None] = dict.fromkeys(names.values(), RIGHT)
        if n % 2:
            said[names["one"]] = said[names["two"]] = f"Otto {'KLMNP'[n % 5]}urz"
        await desk.ask(f"who was number {n}?", said, day=n)
    found = await Reviewer(desk.beliefs).review()
    pair = {found.suspected[0].one, found.suspected[0].other}
    assert pair == {names["one"], names["two"]}
    assert found.suspected[0].shared_wrong > 15
