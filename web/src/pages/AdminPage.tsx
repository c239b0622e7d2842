/** What the cache does: figures, charts and the last answers, refreshed every five seconds. */
import { useCallback, useState } from "react";
import { getCache, getOverview, listRuns } from "../api/client";
import { Figures } from "../components/admin/Figures";
import { OriginChart } from "../components/admin/OriginChart";
import { ReuseNotice } from "../components/admin/ReuseNotice";
import { RunDialog } from "../components/admin/RunDialog";
import { RunsCard } from "../components/admin/RunsCard";
import { StoreCard } from "../components/admin/StoreCard";
import { TtftChart } from "../components/admin/TtftChart";
import { Notice } from "../components/ui/Notice";
import { Select } from "../components/ui/Select";
import { useLoad } from "../hooks/useLoad";

const REFRESH_MS = 5000;
const RUNS_SHOWN = 20;
const WINDOWS = [
  { value: "1", text: "Last hour" },
  { value: "24", text: "Last 24 hours" },
  { value: "168", text: "Last 7 days" },
];

async function loadAll(hours: number, signal: AbortSignal) {
  const [overview, cache, runs] = await Promise.all([
    getOverview(hours, signal),
    getCache(signal),
    listRuns(RUNS_SHOWN, signal),
  ]);
  return { overview, cache, runs };
}

const closeRun = () => {
  window.location.hash = "#/admin";
};

export default function AdminPage({ runId }: { runId: string | null }) {
  const [hours, setHours] = useState(24);
  const load = useCallback((signal: AbortSignal) => loadAll(hours, signal), [hours]);
  const { value, error } = useLoad(load, REFRESH_MS);
  return (
    <div className="relative h-full overflow-y-auto px-4 py-6 sm:px-6 sm:py-8">
      <div className="mx-auto max-w-6xl space-y-4">
        <div className="flex flex-wrap items-center justify-between gap-3">
          <h1 className="text-2xl font-semibold tracking-tight">What the cache does</h1>
          <Select
            label="Window"
            value={String(hours)}
            onChange={(event) => setHours(Number(event.target.value))}
            options={WINDOWS}
          />
        </div>
        {error && (
          <Notice kind="error">
            {error}
            {value && " The figures below are from before."}
          </Notice>
        )}
        {!value && !error && <p className="text-muted">Loading…</p>}
        {value && (
          <>
            <ReuseNotice reuse={value.cache.chunk_reuse} />
            <Figures overview={value.overview} />
            <OriginChart series={value.overview.series} hours={value.overview.window_hours} />
            <div className="grid items-start gap-4 lg:grid-cols-2">
              <TtftChart ttft={value.overview.ttft} />
              <StoreCard cache={value.cache} />
            </div>
            <RunsCard runs={value.runs} />
          </>
        )}
        {runId !== null && <RunDialog key={runId} runId={runId} onClose={closeRun} />}
      </div>
    </div>
  );
}
