"""Document to chunks: structure first, then sentences, 200 to 400 tokens, zero overlap.

A chunk never crosses a heading of its own or a higher level, save that small sections with the same
parent share one. Cuts follow the content (see packing), so an edit changes only chunks near it and
the caches of all others stay valid. Knows no model and no index.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from retrieval.atoms import Atom, AtomSplitter
from retrieval.config import ChunkLimits
from retrieval.labels import label_for, shorten
from retrieval.packing import Strength, pack
from retrieval.protocols import PassageTokenizer
from retrieval.sections import Section, section_tree
from retrieval.types import Chunk, Document

_PROBE = "a"


def chunk(
    document: Document, tokenizer: PassageTokenizer, limits: ChunkLimits | None = None
) -> list[Chunk]:
    """Cut a document; every visible character lands in exactly one chunk."""
    return _Chunker(document, tokenizer, limits or ChunkLimits()).chunks()


@dataclass(frozen=True, slots=True)
class _Unit:
    """A section, or the text before its first child, as one piece. A `packing.Piece`."""

    atoms: list[Atom]
    tokens: int
    checksum: int
    section: Section | None  # None: text before the first child
    strength: Strength = Strength.BLOCK


class _Chunker:
    def __init__(
        self, document: Document, tokenizer: PassageTokenizer, limits: ChunkLimits
    ) -> None:
        self._document = document
        self._tokenizer = tokenizer
        self._limits = limits
        self._splitter = AtomSplitter(document.text, tokenizer)
        self._chunks: list[Chunk] = []

    def chunks(self) -> list[Chunk]:
        root = section_tree(self._document)
        self._add_section(self._unit_of(root, self._atoms(root)), lead=[])
        return self._chunks

    def _atoms(self, section: Section) -> list[Atom]:
        atoms = self._body_atoms(section)
        for child in section.children:
            atoms.extend(self._atoms(child))
        return atoms

    def _body_atoms(self, section: Section) -> list[Atom]:
        budget = self._budget(section.path)
        return [
            atom
            for block in section.body
            for atom in self._splitter.atoms(block, section.path, budget)
        ]

    def _budget(self, path: Sequence[str]) -> int:
        return self._limits.max_tokens - self._frame_len(self._label(path))

    def _frame_len(self, label: str) -> int:
        """Tokens that the label and the template put around a text."""
        framed = self._tokenizer.encode_passage(label, _PROBE)
        return len(framed) - self._tokenizer.count(_PROBE)

    def _label(self, path: Sequence[str]) -> str:
        label = label_for(self._document.title, path)
        # In a script that the tokenizer does not know, 60 characters can be 200 tokens.
        while len(label) > 1 and 4 * self._frame_len(label) > self._limits.max_tokens:
            label = shorten(label, len(label) // 2)
        return label

    def _unit_of(self, section: Section | None, atoms: list[Atom]) -> _Unit:
        tokens = sum(atom.tokens for atom in atoms)
        return _Unit(atoms, tokens, atoms[-1].checksum if atoms else 0, section)

    def _add_section(self, unit: _Unit, lead: list[Atom]) -> None:
        """Chunks of a section; `lead` is a little text before it that must not stand alone."""
        atoms = lead + unit.atoms
        section = unit.section
        if section is None or not section.children or unit.tokens <= self._limits.target_tokens:
            self._add_atoms(atoms, self._budget(section.path if section else ()))
            return
        intro, children = self._parts(section, unit.atoms)
        run = [self._unit_of(None, lead + intro)] if lead or intro else []
        for child in children:
            if child.tokens < self._limits.min_tokens:
                run.append(child)
                continue
            lead = self._as_lead(run)
            if not lead:
                self._add_run(run)
            self._add_section(child, lead)
            run = []
        self._add_run(run)

    def _parts(self, section: Section, atoms: list[Atom]) -> tuple[list[Atom], list[_Unit]]:
        """Atoms before the first child, and each child with its own, in order."""
        starts = [child.body[0].start for child in section.children]
        cuts = [bisect_left(atoms, start, key=attrgetter("start")) for start in starts]
        ends = [*cuts[1:], len(atoms)]
        children = [
            self._unit_of(child, atoms[begin:end])
            for child, begin, end in zip(section.children, cuts, ends, strict=True)
        ]
        return atoms[: cuts[0]], children

    def _as_lead(self, run: Sequence[_Unit]) -> list[Atom]:
        """A heading with at most a line under it goes with the first large section below it."""
        if len(run) == 1 and run[0].section is None and 2 * run[0].tokens < self._limits.min_tokens:
            return run[0].atoms
        return []

    def _add_run(self, run: Sequence[_Unit]) -> None:
        """Small neighbouring sections, merged up to the target size."""
        for group in pack(run, self._limits.min_tokens, self._limits.target_tokens):
            atoms = [atom for unit in run[group] for atom in unit.atoms]
            self._add_atoms(atoms, self._budget(_common_path(atoms)))

    def _add_atoms(self, atoms: Sequence[Atom], budget: int) -> None:
        rows = {atom.path for atom in atoms if atom.is_row}  # their labels are longer
        budget = min([budget, *map(self._budget, rows)])
        for group in pack(atoms, min(self._limits.min_tokens, budget // 2), budget):
            self._add_chunk(atoms[group])

    def _add_chunk(self, atoms: Sequence[Atom]) -> None:
        start, end = atoms[0].start, atoms[-1].end
        text = self._document.text[start:end]
        label = self._label(_common_path(atoms))
        token_ids = self._tokenizer.encode_passage(label, text)
        if len(token_ids) > self._limits.max_tokens and len(text) > 1:
            # Tokens of the parts need not add up to those of the whole; rare, so halves will do.
            for half in _halves(atoms, text):
                self._add_chunk(half)
            return
        ordinal = len(self._chunks)
        self._chunks.append(Chunk(ordinal, start, end, label, text, token_ids, atoms[0].page))


def _common_path(atoms: Sequence[Atom]) -> tuple[str, ...]:
    common = atoms[0].path
    for atom in atoms:
        while atom.path[: len(common)] != common:
            common = common[:-1]
    return common


def _halves(atoms: Sequence[Atom], text: str) -> tuple[Sequence[Atom], Sequence[Atom]]:
    if len(atoms) > 1:
        return atoms[: len(atoms) // 2], atoms[len(atoms) // 2 :]
    atom, middle = atoms[0], len(text) // 2
    left, right = text[:middle].rstrip(), text[middle:].lstrip()
    return (
        [replace(atom, end=atom.start + len(left))],
        [replace(atom, start=atom.end - len(right))],
    )
