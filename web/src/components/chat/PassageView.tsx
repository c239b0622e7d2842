/** A cited passage in full with the cited words marked. */
import { useCallback, useEffect, useRef } from "react";
import { getChunk } from "../../api/client";
import type { Chunk, Citation } from "../../api/types";
import { useLoad } from "../../hooks/useLoad";
import { markSpan } from "../../lib/text";
import { Notice } from "../ui/Notice";
import { Reliability } from "../ui/Reliability";

function Text({ chunk, citation }: { chunk: Chunk; citation: Citation }) {
  const mark = useRef<HTMLElement>(null);
  const { before, marked, after } = markSpan(chunk, citation, citation.quote);
  useEffect(() => {
    mark.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <p className="leading-relaxed break-words whitespace-pre-wrap">
      {before}
      {marked && (
        <mark ref={mark} className="rounded-sm bg-mark px-0.5 text-ink">
          {marked}
        </mark>
      )}
      {after}
    </p>
  );
}

export function PassageView({ citation }: { citation: Citation }) {
  const id = citation.chunk_id;
  const { value, error } = useLoad(useCallback((signal) => getChunk(id, signal), [id]));
  return (
    <div className="space-y-4">
      <dl className="flex flex-wrap items-center gap-x-5 gap-y-1 text-sm">
        <div className="flex gap-1.5">
          <dt className="text-muted">Source</dt>
          <dd className="font-medium">{citation.source}</dd>
        </div>
        <div className="flex gap-1.5">
          <dt className="sr-only">Reliability</dt>
          <dd>
            <Reliability value={value?.reliability ?? citation.reliability} />
          </dd>
        </div>
        {citation.page !== null && (
          <div className="flex gap-1.5">
            <dt className="text-muted">Page</dt>
            <dd>{citation.page}</dd>
          </div>
        )}
      </dl>
      {error && <Notice kind="error">{error}</Notice>}
      {!value && !error && <p className="text-muted">Loading the passage…</p>}
      {value && <Text key={`${citation.start}-${citation.end}`} chunk={value} citation={citation} />}
    </div>
  );
}
