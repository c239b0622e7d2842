/** The one line under an answer about what was reused; it opens the plan. */
import { useId, useState } from "react";
import { reuseLine } from "../../lib/format";
import type { Turn } from "../../state/chat";
import { Icon } from "../ui/Icon";
import { PlanView } from "./PlanView";

export function ReuseLine({ turn }: { turn: Turn }) {
  const [open, setOpen] = useState(false);
  const panelId = useId();
  const line = turn.completed && reuseLine(turn.completed, turn.mode);
  if (!line || !turn.plan) return null;
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        aria-controls={panelId}
        onClick={() => setOpen(!open)}
        className="-ml-1 inline-flex items-start gap-1 rounded-md px-1 py-0.5 text-left text-sm text-muted transition-colors hover:text-ink"
      >
        <span className="inline-block first-letter:uppercase">{line}</span>
        <Icon
          name="chevron"
          className={`mt-1 size-4 shrink-0 transition-transform ${open ? "rotate-180" : ""}`}
        />
        <span className="sr-only">{open ? "Hide the plan" : "Show the plan"}</span>
      </button>
      <div id={panelId} hidden={!open}>
        {open && (
          <div className="mt-3 rounded-xl border border-line bg-surface p-4">
            <PlanView plan={turn.plan} passages={turn.passages} assessment={turn.assessment} />
          </div>
        )}
      </div>
    </div>
  );
}
