/** The header: four figures about the chosen window. */
import type { Overview } from "../../api/types";
import { formatCompact, formatCount, formatMs, formatPercent, plural } from "../../lib/format";

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div className="rounded-2xl border border-line bg-surface px-4 py-3.5 shadow-card sm:px-5">
      <dt className="text-sm text-muted">{name}</dt>
      <dd>
        <span className="block text-2xl font-semibold tracking-tight tabular-nums sm:text-3xl">
          {value}
        </span>
        <span className="text-xs text-muted">{note}</span>
      </dd>
    </div>
  );
}

export function Figures({ overview }: { overview: Overview }) {
  const { exact_prefix, reused, recomputed, fresh } = overview.tokens;
  const stored = exact_prefix + reused;
  const prompt = stored + recomputed + fresh;
  const saved = overview.saved_ms_estimate;
  return (
    <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4 lg:gap-4">
      <Figure
        name="Answers"
        value={formatCount(overview.runs)}
        note={`over ${plural(overview.documents, "document")}, ${plural(overview.chunks, "passage")}`}
      />
      <Figure name="Prompt tokens" value={formatCompact(prompt)} note={`${formatCompact(recomputed + fresh)} of them computed`} />
      <Figure
        name="Taken from the store"
        value={prompt === 0 ? "–" : formatPercent(stored / prompt)}
        note="of all prompt tokens"
      />
      <Figure
        name="Time saved"
        value={overview.runs === 0 ? "–" : saved < 0 ? `−${formatMs(-saved)}` : formatMs(saved)}
        note="of prefill, estimated"
      />
    </dl>
  );
}
