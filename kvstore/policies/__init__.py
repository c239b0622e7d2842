"""Which reused tokens to recompute: one policy a file, one line in this table."""

from kvstore.errors import InvalidReuse
from kvstore.policies.cache_craft import CacheCraftPolicy
from kvstore.policies.everything import EverythingPolicy
from kvstore.policies.gradual_deviation import GradualDeviationPolicy
from kvstore.policies.link_tokens import LinkTokensPolicy
from kvstore.policies.nothing import NothingPolicy
from kvstore.policies.question import QuestionPolicy
from kvstore.policies.question_deviation import QuestionDeviationPolicy
from kvstore.policies.random_tokens import RandomPolicy
from kvstore.policies.seam import SeamPolicy
from kvstore.policies.value_deviation import ValueDeviationPolicy
from kvstore.protocols import SelectionPolicy

POLICIES: dict[str, SelectionPolicy] = {
    policy.name: policy
    for policy in (
        NothingPolicy(),
        EverythingPolicy(),
        RandomPolicy(),
        SeamPolicy(),
        SeamPolicy("epic"),  # the same choice under its paper's name
        ValueDeviationPolicy(),
        GradualDeviationPolicy(),
        QuestionPolicy(),
        QuestionDeviationPolicy(),
        CacheCraftPolicy(),
        CacheCraftPolicy("cache_craft_focus", has_focus=True),
        LinkTokensPolicy(),
    )
}
CACHE_CRAFT = frozenset({"cache_craft", "cache_craft_focus"})  # they live on variants


def find_policy(name: str) -> SelectionPolicy:
    """The policy called `name`; raises InvalidReuse with the known names."""
    if name not in POLICIES:
        raise InvalidReuse(f"unknown policy {name!r}; known: {', '.join(POLICIES)}")
    return POLICIES[name]
