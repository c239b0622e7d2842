"""Keys of repeated requests: answered once, taken over from the dead, forgotten after a day."""

import time

import pytest

from app.db.idempotency import Answer, IdempotencyKeys
from app.errors import KeyInUse, KeyReused

pytestmark = pytest.mark.anyio


async def test_the_first_answer_is_kept(store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = IdempotencyKeys(store.database, "node", "one")
    assert await keys.begin("k", "digest") is None
    with pytest.raises(KeyInUse):
        await keys.begin("k", "digest")
    with pytest.raises(KeyReused):
        await keys.begin("k", "another")
    answer = Answer(202, {"location": "/x"}, '{"id":1}')
    await keys.finish("k", answer)
    await keys.finish("gone", answer)
    assert await keys.begin("k", "digest") == answer
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + 86_401)
    assert await keys.begin("k", "another") is None
    await keys.drop("k")
    assert await keys.begin("k", "third") is None


async def test_what_a_dead_process_was_at_is_answered_anew(
    store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in ("one", "two"):
        keys = IdempotencyKeys(store.database, "node", owner)
        assert await keys.begin("k", "digest") is None
    elsewhere = IdempotencyKeys(store.database, "other", "one")
    with pytest.raises(KeyInUse):
        await elsewhere.begin("k", "digest")
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + 3601)
    assert await elsewhere.begin("k", "digest") is None
