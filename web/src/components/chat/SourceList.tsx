/** The passages an answer cites, one chip each, with how far their source is believed. */
import type { Citation } from "../../api/types";
import { Reliability } from "../ui/Reliability";

interface Props {
  citations: Citation[];
  onOpen: (citation: Citation) => void;
}

export function SourceList({ citations, onOpen }: Props) {
  const first = new Map<number, Citation>();
  for (const citation of citations) {
    if (!first.has(citation.number)) first.set(citation.number, citation);
  }
  if (first.size === 0) return null;
  const chips = [...first.values()].sort((a, b) => a.number - b.number);
  return (
    <ul aria-label="Cited passages" className="flex flex-wrap gap-2">
      {chips.map((citation) => (
        <li key={citation.number} className="max-w-full">
          <button
            type="button"
            onClick={() => onOpen(citation)}
            className="flex max-w-full items-center gap-2 rounded-lg border border-line bg-surface py-1 pr-2.5 pl-1.5 text-sm shadow-card transition-colors hover:border-line-strong"
          >
            <span className="grid size-5 shrink-0 place-items-center rounded-md bg-accent-soft text-xs font-semibold text-accent">
              {citation.number}
            </span>
            <span className="min-w-0 truncate">{citation.title ?? citation.source}</span>
            <span className="min-w-0 truncate text-muted max-sm:hidden">{citation.source}</span>
            <Reliability value={citation.reliability} />
          </button>
        </li>
      ))}
    </ul>
  );
}
