/** The last answers; each links to its plan. */
import type { RunSummary } from "../../api/types";
import { formatCount, formatDateTime, formatMs } from "../../lib/format";
import { Empty } from "../ui/Empty";

const FINISHES: Record<string, string> = {
  stop: "complete",
  length: "cut off",
  no_match: "no passage matched",
  cancelled: "stopped",
};

function reuseOf(run: RunSummary): string | null {
  if (run.tokens === null || run.tokens.prompt === 0) return null;
  const taken = run.tokens.exact_prefix + run.tokens.reused;
  return `${formatCount(taken)} of ${formatCount(run.tokens.prompt)} tokens reused`;
}

function Row({ run }: { run: RunSummary }) {
  const reused = reuseOf(run);
  const finish = run.finish_reason ? (FINISHES[run.finish_reason] ?? run.finish_reason) : "running";
  return (
    <li className="border-t border-line py-2.5 first:border-t-0">
      <a
        href={`#/admin/runs/${encodeURIComponent(run.run_id)}`}
        className="block truncate font-medium text-accent underline-offset-2 hover:underline"
      >
        {run.question}
      </a>
      <p className="flex flex-wrap gap-x-3 text-sm text-muted tabular-nums">
        <span>{formatDateTime(run.created_at)}</span>
        {run.collection && <span>{run.collection}</span>}
        <span>mode {run.mode}</span>
        {reused && <span>{reused}</span>}
        {run.ttft_ms !== null && <span>first word {formatMs(run.ttft_ms)}</span>}
        <span>{finish}</span>
      </p>
    </li>
  );
}

export function RunsCard({ runs }: { runs: RunSummary[] }) {
  return (
    <section
      aria-labelledby="runs-title"
      className="min-w-0 rounded-2xl border border-line bg-surface p-4 shadow-card sm:p-5"
    >
      <h2 id="runs-title" className="font-semibold">
        Last answers
      </h2>
      <p className="mb-2 text-sm text-muted">Open one to see its plan, passage by passage.</p>
      {runs.length === 0 ? (
        <Empty title="No answers yet">
          <a href="#/chat" className="font-medium text-accent underline underline-offset-2">
            Ask a first question
          </a>
        </Empty>
      ) : (
        <ul>
          {runs.map((run) => (
            <Row key={run.run_id} run={run} />
          ))}
        </ul>
      )}
    </section>
  );
}
