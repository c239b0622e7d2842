/** Prompt tokens over time, stacked by where they came from. */
import { useId, useState } from "react";
import type { Bucket } from "../../api/types";
import { useWidth } from "../../hooks/useWidth";
import { formatCompact, formatCount, formatDateTime, formatTick, plural } from "../../lib/format";
import { ticks } from "../../lib/scale";
import { ORIGIN_COLOURS, ORIGIN_NAMES, type Origin } from "../../lib/segments";
import { Empty } from "../ui/Empty";
import { Swatch } from "../ui/Swatch";
import { ChartCard } from "./ChartCard";

const LAYERS: { origin: Origin; tokens: (bucket: Bucket) => number }[] = [
  { origin: "exact", tokens: (bucket) => bucket.exact_prefix },
  { origin: "reused", tokens: (bucket) => bucket.reused },
  { origin: "recomputed", tokens: (bucket) => bucket.recomputed },
  { origin: "computed", tokens: (bucket) => bucket.fresh },
];

const HEIGHT = 220;
const PAD = { left: 40, right: 4, top: 8, bottom: 24 };
const LABEL_WIDTH = 72; // pixels one time label needs

const totalOf = (bucket: Bucket) => LAYERS.reduce((sum, layer) => sum + layer.tokens(bucket), 0);

interface ChartProps {
  series: Bucket[];
  hours: number;
  onHover: (bucket: Bucket | null) => void;
}

function Bars({ series, hours, onHover }: ChartProps) {
  const id = useId();
  const [ref, width] = useWidth<HTMLDivElement>(640);
  const steps = ticks(Math.max(...series.map(totalOf)));
  const top = steps.at(-1) ?? 1;
  const inner = { width: width - PAD.left - PAD.right, height: HEIGHT - PAD.top - PAD.bottom };
  const slot = inner.width / series.length;
  const y = (tokens: number) => PAD.top + inner.height * (1 - tokens / top);
  const every = Math.max(1, Math.ceil(LABEL_WIDTH / slot));
  const sum = series.reduce((all, bucket) => all + totalOf(bucket), 0);

  return (
    <div ref={ref}>
      <svg
        role="img"
        aria-labelledby={`${id}-title ${id}-desc`}
        width={width}
        height={HEIGHT}
        className="block max-w-full text-xs"
        onPointerLeave={() => onHover(null)}
      >
        <title id={`${id}-title`}>Prompt tokens over time by origin</title>
        <desc id={`${id}-desc`}>
          {`${plural(series.length, "bar")} over ${plural(hours, "hour")}, ${plural(sum, "token")} in all.`}
        </desc>
        {steps.map((step) => (
          <g key={step}>
            <line x1={PAD.left} x2={width - PAD.right} y1={y(step)} y2={y(step)} stroke="var(--c-line)" />
            <text x={PAD.left - 8} y={y(step) + 4} textAnchor="end" fill="var(--c-muted)">
              {formatCompact(step)}
            </text>
          </g>
        ))}
        {series.map((bucket, index) => {
          const x = PAD.left + index * slot;
          let below = 0;
          return (
            <g key={bucket.start} onPointerEnter={() => onHover(bucket)}>
              <rect x={x} y={PAD.top} width={slot} height={inner.height} fill="transparent" />
              {LAYERS.map(({ origin, tokens }) => {
                const base = below;
                below += tokens(bucket);
                return (
                  <rect
                    key={origin}
                    x={x + slot * 0.12}
                    width={slot * 0.76}
                    y={y(below)}
                    height={y(base) - y(below)}
                    fill={ORIGIN_COLOURS[origin]}
                  />
                );
              })}
              {index % every === 0 && x + LABEL_WIDTH / 2 < width && (
                <text x={x} y={HEIGHT - 6} fill="var(--c-muted)">
                  {formatTick(bucket.start, hours)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

export function OriginChart({ series, hours }: { series: Bucket[]; hours: number }) {
  const [hovered, setHovered] = useState<Bucket | null>(null);
  const empty = series.every((bucket) => totalOf(bucket) === 0);
  const table = {
    head: ["From", ...LAYERS.map(({ origin }) => ORIGIN_NAMES[origin]), "Answers"],
    rows: series
      .filter((bucket) => bucket.runs > 0)
      .map((bucket) => [
        formatDateTime(bucket.start),
        ...LAYERS.map(({ tokens }) => formatCount(tokens(bucket))),
        bucket.runs,
      ]),
  };
  return (
    <ChartCard title="Where prompt tokens came from" note="Tokens by time of answer" table={empty ? null : table}>
      {empty ? (
        <Empty title="No answers in this window">
          Ask something in the chat, or choose a longer window.
        </Empty>
      ) : (
        <>
          <Bars series={series} hours={hours} onHover={setHovered} />
          <ul className="mt-3 flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
            {LAYERS.map(({ origin, tokens }) => (
              <li key={origin} className="inline-flex items-center gap-1.5">
                <Swatch colour={ORIGIN_COLOURS[origin]} />
                {ORIGIN_NAMES[origin]}
                {hovered && <span className="text-ink tabular-nums">{formatCount(tokens(hovered))}</span>}
              </li>
            ))}
            <li className="ml-auto tabular-nums">
              {hovered && `${formatDateTime(hovered.start)}, ${plural(hovered.runs, "answer")}`}
            </li>
          </ul>
        </>
      )}
    </ChartCard>
  );
}
