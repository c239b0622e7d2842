/** Sources with a slider for how far each is believed. */
import { useEffect, useState } from "react";
import { setReliability } from "../../api/client";
import { messageOf } from "../../api/problem";
import type { Source } from "../../api/types";
import { plural } from "../../lib/format";
import { Empty } from "../ui/Empty";

const SAVE_AFTER_MS = 400; // a slider reports every step of a drag

function SourceRow({ source }: { source: Source }) {
  const [value, setValue] = useState(source.reliability);
  const [saved, setSaved] = useState(source.reliability);
  const [status, setStatus] = useState<"" | "Saved" | { error: string }>("");

  useEffect(() => {
    setValue(source.reliability);
    setSaved(source.reliability);
  }, [source.reliability]);

  useEffect(() => {
    if (value === saved) return;
    const timer = window.setTimeout(async () => {
      try {
        await setReliability(source.id, value);
        setSaved(value);
        setStatus("Saved");
      } catch (failure) {
        setValue(saved);
        setStatus({ error: messageOf(failure) });
      }
    }, SAVE_AFTER_MS);
    return () => window.clearTimeout(timer);
  }, [value, saved, source.id]);

  return (
    <li className="border-t border-line py-3 first:border-t-0">
      <div className="flex items-baseline justify-between gap-3">
        <p className="min-w-0 font-medium break-words">{source.name}</p>
        <p className="shrink-0 text-sm text-muted">{plural(source.documents, "document")}</p>
      </div>
      <div className="mt-1 flex items-center gap-3">
        <input
          type="range"
          min={0.01}
          max={0.99}
          step={0.01}
          value={value}
          aria-label={`Reliability of ${source.name}`}
          aria-valuetext={value.toFixed(2)}
          onChange={(event) => {
            setStatus("");
            setValue(Number(event.target.value));
          }}
          className="h-6 min-w-0 flex-1"
        />
        <output className="w-9 text-right text-sm tabular-nums">{value.toFixed(2)}</output>
      </div>
      <p role="status" className="text-xs text-muted">
        {typeof status === "string" ? status : <span className="text-danger">{status.error}</span>}
      </p>
    </li>
  );
}

export function SourcePanel({ sources }: { sources: Source[] | null }) {
  if (sources === null) return <p className="text-sm text-muted">Loading…</p>;
  if (sources.length === 0) {
    return <Empty title="No sources yet">A source appears with its first document.</Empty>;
  }
  return (
    <ul className="rounded-2xl border border-line bg-surface px-4 py-1 shadow-card">
      {sources.map((source) => (
        <SourceRow key={source.id} source={source} />
      ))}
    </ul>
  );
}
