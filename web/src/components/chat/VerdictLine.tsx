/** The one line under an answer about how far it is supported; it opens the evidence. */
import { useId, useState } from "react";
import { balance, headline, tone } from "../../lib/verdict";
import type { Turn } from "../../state/chat";
import { Icon } from "../ui/Icon";
import { EvidenceView } from "./EvidenceView";

export const TONE_LOOKS = {
  good: "bg-accent-soft text-accent",
  doubtful: "bg-warn-soft text-warn",
  none: "bg-sunken text-muted",
} as const;

export function VerdictLine({ turn }: { turn: Turn }) {
  const [open, setOpen] = useState(false);
  const panelId = useId();
  const { verdict, runId } = turn;
  if (verdict === null || runId === null || turn.completed === null) return null;
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        aria-controls={panelId}
        onClick={() => setOpen(!open)}
        className="-ml-1 inline-flex max-w-full flex-wrap items-center gap-x-2 gap-y-1 rounded-md px-1 py-0.5 text-left text-sm text-muted transition-colors hover:text-ink"
      >
        <span className={`rounded-md px-2 py-0.5 font-medium ${TONE_LOOKS[tone(verdict)]}`}>
          {headline(verdict)}
        </span>
        {verdict.kind !== "abstain" && <span>{balance(verdict)}</span>}
        <Icon
          name="chevron"
          className={`size-4 shrink-0 transition-transform ${open ? "rotate-180" : ""}`}
        />
        <span className="sr-only">{open ? "Hide the evidence" : "Show the evidence"}</span>
      </button>
      <div id={panelId} hidden={!open}>
        {open && (
          <div className="mt-3 rounded-xl border border-line bg-surface p-4">
            <EvidenceView runId={runId} />
          </div>
        )}
      </div>
    </div>
  );
}
