/** What the cache did for one prompt: the picture, the table and the settings behind them. */
import type { Assessment, CachePlan, Passage } from "../../api/types";
import { formatMs, formatPercent } from "../../lib/format";
import { explain } from "../../lib/reasons";
import { PlanTable } from "./PlanTable";
import { SegmentsBar } from "./SegmentsBar";

interface Props {
  plan: CachePlan;
  passages: Passage[];
  assessment?: Assessment | null;
}

function Fact({ name, children }: { name: string; children: string }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="tabular-nums">{children}</dd>
    </div>
  );
}

export function PlanView({ plan, passages, assessment }: Props) {
  const dropped = assessment?.dropped ?? [];
  const titleOf = (chunkId: number | string) =>
    passages.find((passage) => passage.chunk_id === chunkId)?.title ?? `Passage ${chunkId}`;
  return (
    <div className="space-y-4">
      <SegmentsBar segments={plan.segments} />
      <dl className="flex flex-wrap gap-x-8 gap-y-2 text-sm">
        <Fact name="Prefill">{formatMs(plan.prefill_ms)}</Fact>
        <Fact name="In full, estimated">{formatMs(plan.full_prefill_ms_estimate)}</Fact>
        <Fact name="Mode">{plan.mode}</Fact>
        {plan.policy && plan.mode === "auto" && <Fact name="Policy">{plan.policy}</Fact>}
        {plan.ratio !== null && plan.mode === "auto" && (
          <Fact name="Repair ratio">{formatPercent(plan.ratio)}</Fact>
        )}
      </dl>
      {plan.reason && <p className="text-sm text-muted">{explain(plan.reason)}</p>}
      <PlanTable segments={plan.segments} />
      {dropped.length > 0 && (
        <div className="text-sm">
          <h4 className="text-xs font-medium text-muted">Found but left out</h4>
          <ul className="mt-1 space-y-0.5">
            {dropped.map((item) => (
              <li key={item.chunk_id}>
                {titleOf(item.chunk_id)}: <span className="text-muted">{explain(item.reason)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
