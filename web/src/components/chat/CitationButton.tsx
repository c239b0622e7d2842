/** The small number behind a cited sentence; it opens the passage. */
import type { Citation } from "../../api/types";

interface Props {
  citation: Citation;
  onOpen: (citation: Citation) => void;
}

export function CitationButton({ citation, onOpen }: Props) {
  const title = citation.title ?? citation.source;
  return (
    <button
      type="button"
      onClick={() => onOpen(citation)}
      aria-label={`Citation ${citation.number}: ${title}`}
      title={`${title} (${citation.source})`}
      className="relative mx-0.5 inline-flex h-4.5 min-w-4.5 -translate-y-0.5 items-center justify-center rounded-md bg-accent-soft px-1 align-baseline text-[0.6875rem] leading-none font-semibold text-accent tabular-nums transition-colors before:absolute before:-inset-1.5 hover:bg-accent hover:text-on-accent"
    >
      {citation.number}
    </button>
  );
}
