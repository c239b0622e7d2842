"""How long a refit and one update take: 1,000 sources, 10,000 observations."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

import numpy as np

from app.db.observations import Observations
from app.db.reliability_rows import NewObservation
from app.evaluation.beliefs_database import open_beliefs
from reliability.estimators.larder import LarderEstimator
from reliability.incremental import absorb
from reliability.observations import Observation
from reliability.table import build_table

SOURCES = 1000
OBSERVATIONS = 10_000
UPDATES = 50


def draw_observations(sources: int, observations: int, seed: int = 0) -> list[Observation]:
    """Claims of sources of mixed quality, five a question, four topics."""
    random = np.random.default_rng(seed)
    p = random.beta(3, 2, sources)
    rows = []
    for place in range(observations):
        number, source = place // 5, int(random.integers(sources))
        right = random.random() < p[source]
        answer = "right" if right else f"wrong {random.integers(8)}"
        topic, day = f"t{number % 4}", float(number // 20)
        rows.append(Observation(place, "probe", f"q{number}", answer, source, topic=topic, day=day))
    return rows


def speed_row(sources: int = SOURCES, observations: int = OBSERVATIONS) -> dict[str, object]:
    """Seconds of a full refit, the fold of the log included, and milliseconds of an update."""
    rows = draw_observations(sources, observations)
    estimator = LarderEstimator()
    start = perf_counter()
    estimate = estimator.fit(build_table(rows))
    refit_s = perf_counter() - start
    times = []
    for number in range(UPDATES):
        news = rows[5 * number : 5 * number + 5]
        start = perf_counter()
        estimate = absorb(estimator, estimate, news)
        times.append(1000 * (perf_counter() - start))
    return {
        "world": "speed",
        "estimator": "larder",
        "sources": sources,
        "observations": observations,
        "refit_s": refit_s,
        "update_ms": median(times),
        "rounds": estimate.rounds,
        "n": observations,
    }


async def database_speed_row(
    url: str | None = None, sources: int = SOURCES, observations: int = OBSERVATIONS
) -> dict[str, object]:
    """The same over a database: rows read, folded and fitted, and beliefs written. A new SQLite
    file, or the empty PostgreSQL database at `url`."""
    async with open_beliefs(url) as opened:
        ids = await opened.add_sources(range(sources))
        await opened.observe(draw_observations(sources, observations), ids)
        start = perf_counter()
        version = await opened.beliefs.refit("speed")
        refit_s = perf_counter() - start
        await opened.beliefs.catch_up()
        kept, times = Observations(opened.database), []
        for number in range(UPDATES // 2):  # 125 rows; beyond 200 a refit follows
            await kept.append(_news(number, list(ids.values())))
            start = perf_counter()
            await opened.beliefs.catch_up()
            times.append(1000 * (perf_counter() - start))
    return {
        "world": "speed_postgresql" if url else "speed_sqlite",
        "estimator": version.estimator,
        "sources": sources,
        "observations": observations,
        "refit_s": refit_s,
        "update_ms": median(times),
        "rounds": version.rounds,
        "n": observations,
    }


def _news(number: int, sources: Sequence[int]) -> list[NewObservation]:
    """What five sources were met saying while one question was answered."""
    place = 7 * number
    return [
        NewObservation(
            "crosscheck",
            sources[(place + step) % len(sources)],
            f"news {number}",
            "right" if step < 3 else "wrong 1",
            topic="t1",
        )
        for step in range(5)
    ]
