/** One stored run: question, answer and plan. */
import { useCallback } from "react";
import { getRun } from "../../api/client";
import type { Citation, Run } from "../../api/types";
import { useLoad } from "../../hooks/useLoad";
import { formatMs } from "../../lib/format";
import { Answer } from "../chat/Answer";
import { PlanView } from "../chat/PlanView";
import { Dialog } from "../ui/Dialog";
import { Notice } from "../ui/Notice";

/** Marks without a passage beside them would lead nowhere, so a stored answer is shown plain. */
const NONE: Citation[] = [];
const ignore = () => undefined;

const STAGES = ["queue", "retrieve", "assess", "lookup", "load", "rotate", "probe", "prefill", "ttft", "total"];

function Timings({ timings }: { timings: Run["timings_ms"] }) {
  const known = STAGES.filter((stage) => timings[stage] !== undefined);
  if (known.length === 0) return null;
  return (
    <section>
      <h3 className="text-xs font-medium text-muted">Timings</h3>
      <dl className="mt-1 flex flex-wrap gap-x-6 gap-y-2 text-sm">
        {known.map((stage) => (
          <div key={stage}>
            <dt className="text-xs text-muted">{stage === "ttft" ? "first word" : stage}</dt>
            <dd className="tabular-nums">{formatMs(timings[stage] ?? 0)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Details({ run }: { run: Run }) {
  return (
    <div className="space-y-5">
      <section>
        <h3 className="text-xs font-medium text-muted">Answer</h3>
        <div className="mt-1 text-sm">
          <Answer text={run.answer || "No answer was written."} citations={NONE} onOpen={ignore} />
        </div>
      </section>
      {run.plan ? (
        <PlanView plan={run.plan} passages={run.passages} />
      ) : (
        <Notice kind="note">No prompt was built for this question, so there is no plan.</Notice>
      )}
      <Timings timings={run.timings_ms} />
    </div>
  );
}

export function RunDialog({ runId, onClose }: { runId: string; onClose: () => void }) {
  const { value, error } = useLoad(useCallback((signal) => getRun(runId, signal), [runId]));
  return (
    <Dialog title={value?.question ?? "Run"} onClose={onClose} wide>
      {error && <Notice kind="error">{error}</Notice>}
      {!value && !error && <p className="text-muted">Loading the run…</p>}
      {value && <Details run={value} />}
    </Dialog>
  );
}
