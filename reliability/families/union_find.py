"""Disjoint sets: joins in any order give the same groups."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class UnionFind(Generic[Item]):
    def __init__(self, items: Iterable[Item]) -> None:
        self._parent = {item: item for item in items}

    def find(self, item: Item) -> Item:
        root = item
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[item] != root:
            self._parent[item], item = root, self._parent[item]
        return root

    def join(self, one: Item, other: Item) -> None:
        self._parent[self.find(other)] = self.find(one)

    def numbers(self) -> dict[Item, int]:
        """Group number of each item, counted in the order of the items."""
        numbers: dict[Item, int] = {}
        return {i: numbers.setdefault(self.find(i), len(numbers)) for i in self._parent}
