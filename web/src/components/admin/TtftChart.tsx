/** Time to the first word with and without reuse: two cumulative distributions, p50 and p95. */
import { useId } from "react";
import type { Overview, TtftStats } from "../../api/types";
import { useWidth } from "../../hooks/useWidth";
import { formatMs, formatPercent } from "../../lib/format";
import { distribution, ticks } from "../../lib/scale";
import { Empty } from "../ui/Empty";
import { Swatch } from "../ui/Swatch";
import { ChartCard } from "./ChartCard";

interface Line {
  name: string;
  colour: string;
  stats: TtftStats;
}

const HEIGHT = 220;
const PAD = { left: 40, right: 12, top: 8, bottom: 24 };
const SHARES = [0, 0.5, 0.95];

function Curves({ lines }: { lines: Line[] }) {
  const id = useId();
  const [ref, width] = useWidth<HTMLDivElement>(640);
  const inner = { width: width - PAD.left - PAD.right, height: HEIGHT - PAD.top - PAD.bottom };
  const steps = ticks(Math.max(...lines.flatMap(({ stats }) => stats.values_ms)), width < 420 ? 3 : 5);
  const top = steps.at(-1) ?? 1;
  const x = (ms: number) => PAD.left + (inner.width * ms) / top;
  const y = (share: number) => PAD.top + inner.height * (1 - share);
  const path = (stats: TtftStats) =>
    distribution(stats.values_ms).reduce(
      (drawn, point) => `${drawn}H${x(point.value).toFixed(1)}V${y(point.share).toFixed(1)}`,
      `M${x(0)} ${y(0)}`,
    ) + `H${x(top)}`;

  return (
    <div ref={ref}>
      <svg
        role="img"
        aria-labelledby={`${id}-title ${id}-desc`}
        width={width}
        height={HEIGHT}
        className="block max-w-full text-xs"
      >
        <title id={`${id}-title`}>Share of answers whose first word came within a time</title>
        <desc id={`${id}-desc`}>{lines.map(describe).join("; ")}</desc>
        {SHARES.map((share) => (
          <g key={share}>
            <line x1={PAD.left} x2={width - PAD.right} y1={y(share)} y2={y(share)} stroke="var(--c-line)" />
            <text x={PAD.left - 8} y={y(share) + 4} textAnchor="end" fill="var(--c-muted)">
              {formatPercent(share)}
            </text>
          </g>
        ))}
        {steps.map((step) => (
          <text key={step} x={x(step)} y={HEIGHT - 6} textAnchor={step === top ? "end" : "middle"} fill="var(--c-muted)">
            {step === 0 ? "0" : formatMs(step)}
          </text>
        ))}
        {lines.map(({ name, colour, stats }) => (
          <g key={name}>
            <path d={path(stats)} fill="none" stroke={colour} strokeWidth="2" strokeLinejoin="round" />
            {stats.p50_ms !== null && <circle cx={x(stats.p50_ms)} cy={y(0.5)} r="5" fill={colour} stroke="var(--c-surface)" strokeWidth="2" />}
            {stats.p95_ms !== null && <circle cx={x(stats.p95_ms)} cy={y(0.95)} r="5" fill="var(--c-surface)" stroke={colour} strokeWidth="2" />}
          </g>
        ))}
      </svg>
    </div>
  );
}

const ms = (value: number | null) => (value === null ? "–" : formatMs(value));

const describe = ({ name, stats }: Line) =>
  `${name}: half within ${ms(stats.p50_ms)}, 95% within ${ms(stats.p95_ms)}, ${stats.n} answers`;

export function TtftChart({ ttft }: { ttft: Overview["ttft"] }) {
  const all: Line[] = [
    { name: "With reuse", colour: "var(--c-exact)", stats: ttft.reuse },
    { name: "Computed in full", colour: "var(--c-computed)", stats: ttft.off },
  ];
  const lines = all.filter(({ stats }) => stats.values_ms.length > 0);
  const table = {
    head: ["Prompt", "Answers", "p50", "p95"],
    rows: lines.map(({ name, stats }) => [name, stats.n, ms(stats.p50_ms), ms(stats.p95_ms)]),
  };
  return (
    <ChartCard
      title="Time to the first word"
      note="Share of answers that had begun by then"
      table={lines.length === 0 ? null : table}
    >
      {lines.length === 0 ? (
        <Empty title="Nothing timed yet">Ask something in the chat to see a first time.</Empty>
      ) : (
        <>
          <Curves lines={lines} />
          <ul className="mt-3 space-y-1 text-xs text-muted">
            {all.map(({ name, colour, stats }) => (
              <li key={name} className="flex flex-wrap items-center gap-x-1.5">
                <Swatch colour={colour} />
                <span>{name}:</span>
                {stats.n === 0 ? (
                  <span>{name === "With reuse" ? "no answers yet" : "no answers yet; ask once with “Reuse: off” to compare"}</span>
                ) : (
                  <span className="tabular-nums">
                    p50 ● <b className="font-semibold text-ink">{ms(stats.p50_ms)}</b>, p95 ○{" "}
                    <b className="font-semibold text-ink">{ms(stats.p95_ms)}</b>, n = {stats.n}
                  </span>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
    </ChartCard>
  );
}
