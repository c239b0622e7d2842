/** What the store holds against its budgets, and what became of the look-ups. */
import type { Cache, Tier } from "../../api/types";
import { formatBytes, formatCount, formatPercent, plural } from "../../lib/format";
import { nameOf, TIER_NAMES } from "../../lib/reasons";
import { ChartCard } from "./ChartCard";

const ALWAYS_SHOWN = ["hits_ram", "hits_disk", "misses", "corrupt", "evicted"];
const COUNTERS: Record<string, string> = {
  hits_device: "Found on the GPU",
  hits_ram: "Found in memory",
  hits_disk: "Found on disk",
  hits_valkey: "Found on Valkey",
  hits_s3: "Found on S3",
  misses: "Not found",
  slower_than_compute: "Too slow to fetch",
  corrupt: "Damaged",
  evicted: "Evicted",
};

const shareOf = (tier: Tier) => (tier.budget_bytes > 0 ? Math.min(1, tier.bytes / tier.budget_bytes) : 0);

function TierBar({ tier }: { tier: Tier }) {
  const name = nameOf(TIER_NAMES, tier.name);
  const share = shareOf(tier);
  return (
    <li>
      <div className="flex flex-wrap items-baseline justify-between gap-x-3 text-sm">
        <span className="font-medium">{name}</span>
        <span className="text-muted tabular-nums">
          {formatBytes(tier.bytes)} of {formatBytes(tier.budget_bytes)}
        </span>
      </div>
      <svg role="img" aria-label={`${name}: ${formatPercent(share)} of its budget`} width="100%" height="10" className="mt-1.5 block overflow-hidden rounded-full">
        <title>{`${name}: ${formatPercent(share)} of its budget`}</title>
        <rect width="100%" height="10" fill="var(--c-sunken)" />
        <rect width={`${share * 100}%`} height="10" fill={share > 0.95 ? "var(--c-recomputed)" : "var(--c-exact)"} />
      </svg>
      <p className="mt-1 text-xs text-muted">
        {plural(tier.entries, "entry", "entries")}
        {tier.pinned > 0 && `, ${formatCount(tier.pinned)} pinned`}
      </p>
    </li>
  );
}

export function StoreCard({ cache }: { cache: Cache }) {
  const table = {
    head: ["Tier", "Bytes", "Budget", "Entries", "Pinned"],
    rows: cache.tiers.map((tier) => [
      nameOf(TIER_NAMES, tier.name),
      formatBytes(tier.bytes),
      formatBytes(tier.budget_bytes),
      formatCount(tier.entries),
      formatCount(tier.pinned),
    ]),
  };
  return (
    <ChartCard title="Store" note={`${cache.model}, ${cache.dtype}`} table={table}>
      <div className="space-y-5">
        <ul className="space-y-4">
          {cache.tiers.map((tier) => (
            <TierBar key={tier.name} tier={tier} />
          ))}
        </ul>
        <dl className="grid grid-cols-2 gap-x-6 gap-y-2 border-t border-line pt-4 text-sm sm:grid-cols-3">
          {Object.entries(COUNTERS)
            .filter(([key]) => ALWAYS_SHOWN.includes(key) || key in cache.counters)
            .map(([key, name]) => (
              <div key={key}>
                <dt className="text-xs text-muted">{name}</dt>
                <dd className="tabular-nums">{formatCount(cache.counters[key] ?? 0)}</dd>
              </div>
            ))}
        </dl>
      </div>
    </ChartCard>
  );
}
