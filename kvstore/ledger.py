"""What a tier holds: sizes, bytes by namespace, and which entries go first. No files, no locks."""

from collections import Counter
from collections.abc import Iterable

from kvstore.eviction import Eviction, Held, worth_of


class Ledger:
    """`quota_bytes`: most that one namespace may take of the budget, None for all of it.

    A namespace that is over its quota gives up its own entries, never another's.
    """

    def __init__(self, rule: Eviction, budget_bytes: int, quota_bytes: int | None = None) -> None:
        self.budget_bytes = budget_bytes
        self.quota_bytes = quota_bytes
        self.held: dict[str, Held] = {}
        self.num_bytes = 0
        self._by_namespace: Counter[str] = Counter()
        self._rule = rule

    def add(self, digest: str, held: Held) -> None:
        self.pop(digest)
        held.rank = self._rule.rank(held)
        self.held[digest] = held
        self.num_bytes += held.num_bytes
        self._by_namespace[held.namespace] += held.num_bytes

    def pop(self, digest: str) -> Held | None:
        held = self.held.pop(digest, None)
        if held is not None:
            self.num_bytes -= held.num_bytes
            self._by_namespace[held.namespace] -= held.num_bytes
        return held

    def resize(self, digest: str, num_bytes: int) -> None:
        """The entry takes another number of bytes than was thought."""
        held = self.held[digest]
        grown = num_bytes - held.num_bytes
        held.num_bytes = num_bytes
        self.num_bytes += grown
        self._by_namespace[held.namespace] += grown

    def used(self, digest: str, now: float) -> None:
        held = self.held[digest]
        held.uses += 1
        held.score += 1.0
        held.last_used_at = now
        held.rank = self._rule.rank(held)

    def credit(self, digest: str, overhead: float) -> None:
        """The fix overhead of the use that was just counted is known."""
        held = self.held[digest]
        held.score += worth_of(overhead) - 1.0
        held.rank = self._rule.rank(held)

    def went(self, digest: str) -> None:
        """Tell the rule that this entry had to go."""
        self._rule.went(self.held[digest])

    def bytes_of(self, namespace: str) -> int:
        return self._by_namespace[namespace]

    def namespaces(self) -> list[str]:
        return [name for name, num_bytes in self._by_namespace.items() if num_bytes]

    def victims(self, num_bytes: int, namespace: str) -> list[str] | None:
        """What has to go so that `num_bytes` more of `namespace` fit, least valuable first: its own
        while it is over its quota, then anybody's. None where they cannot fit."""
        if num_bytes > self.budget_bytes:
            return None
        over_quota = 0
        if self.quota_bytes is not None:
            over_quota = self.bytes_of(namespace) + num_bytes - self.quota_bytes
        own = self._lowest(over_quota, namespace)
        if own is None:
            return None
        freed = sum(self.held[digest].num_bytes for digest in own)
        over_budget = self.num_bytes + num_bytes - self.budget_bytes - freed
        others = self._lowest(over_budget, None, without=own)
        return None if others is None else own + others

    def down_to(self, target_bytes: int, namespace: str | None = None) -> list[str]:
        """What has to go, of one namespace or of all, until at most `target_bytes` are left; as
        much of it as is not pinned."""
        held = self.num_bytes if namespace is None else self.bytes_of(namespace)
        over = held - target_bytes
        chosen = self._lowest(over, namespace)
        return self._free(namespace) if chosen is None else chosen

    def _free(self, namespace: str | None) -> list[str]:
        return [
            digest
            for digest, held in self.held.items()
            if not held.pinned and namespace in {None, held.namespace}
        ]

    def _lowest(
        self, num_bytes: int, namespace: str | None, without: Iterable[str] = ()
    ) -> list[str] | None:
        """Entries that are not pinned, lowest rank first, until they free `num_bytes`."""
        if num_bytes <= 0:
            return []
        taken = set(without)
        chosen: list[str] = []
        for digest in sorted(self._free(namespace), key=lambda d: self.held[d].rank):
            if digest in taken:
                continue
            chosen.append(digest)
            num_bytes -= self.held[digest].num_bytes
            if num_bytes <= 0:
                return chosen
        return None
