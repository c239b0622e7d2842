"""P7: every field of the identity counts, and nothing else finds an entry."""

from dataclasses import replace

import pytest

from kvstore.keys import ModelIdentity, content_id, context_id, derive_namespace, entry_key

IDENTITY = ModelIdentity(
    weights="w",
    config="c",
    tokenizer="t",
    template="p",
    adapter=None,
    kv_dtype="torch.float32",
    codec="raw",
    layout=(2, 1, 8),
    rope_state="unrotated",
    compute="cpu",
)
CHANGES = {
    "weights": "w2",
    "config": "c2",
    "tokenizer": "t2",
    "template": "p2",
    "adapter": "lora",
    "kv_dtype": "torch.bfloat16",
    "codec": "int8",
    "layout": (2, 1, 16),
    "rope_state": "rotated",
    "compute": "cuda",
}


def test_every_field_is_covered() -> None:
    assert set(CHANGES) == set(ModelIdentity.__dataclass_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_another_identity(field: str) -> None:
    changed = replace(IDENTITY, **{field: CHANGES[field]})
    assert changed.digest != IDENTITY.digest
    assert entry_key("n", changed.digest, "c", ["x"]) != entry_key("n", IDENTITY.digest, "c", ["x"])


def test_content_ids_do_not_run_into_one_another() -> None:
    assert content_id((1, 2)) != content_id((2, 1))
    assert content_id((1,)) != content_id((1, 0))
    assert content_id(()) != content_id((0,))


def test_context_is_ordered() -> None:
    a, b = content_id((1,)), content_id((2,))
    assert len({context_id([a, b]), context_id([b, a]), context_id([a]), context_id([])}) == 4


def test_namespaces_separate_tenants_and_do_not_collide_on_joins() -> None:
    names = {
        derive_namespace(b"secret", "a", "bc"),
        derive_namespace(b"secret", "ab", "c"),
        derive_namespace(b"other", "a", "bc"),
        derive_namespace(b"secret", "a", "b"),
    }
    assert len(names) == 4
    key = entry_key(derive_namespace(b"secret", "a", "b"), "i", "c", ["x"])
    assert key.digest != entry_key(derive_namespace(b"secret", "b", "b"), "i", "c", ["x"]).digest
