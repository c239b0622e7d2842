/** A prompt as one bar: each segment as wide as its tokens, coloured by where they came from. */
import { useId } from "react";
import type { Segment } from "../../api/types";
import { formatCount } from "../../lib/format";
import {
  ORIGIN_COLOURS,
  ORIGIN_NAMES,
  ORIGINS,
  type Origin,
  segmentTitle,
  stretches,
} from "../../lib/segments";
import { Swatch } from "../ui/Swatch";

const percent = (share: number) => `${(share * 100).toFixed(3)}%`;

export function SegmentsBar({ segments }: { segments: readonly Segment[] }) {
  const id = useId();
  const parts = stretches(segments);
  const totals = new Map<Origin, number>();
  for (const part of parts) totals.set(part.origin, (totals.get(part.origin) ?? 0) + part.tokens);
  const present = ORIGINS.filter((origin) => totals.has(origin));
  const summary = present
    .map((origin) => `${ORIGIN_NAMES[origin]}: ${formatCount(totals.get(origin) ?? 0)} tokens`)
    .join("; ");

  return (
    <figure>
      <svg
        role="img"
        aria-labelledby={`${id}-title ${id}-desc`}
        width="100%"
        height="28"
        className="block overflow-hidden rounded-lg"
      >
        <title id={`${id}-title`}>The prompt by where its tokens came from</title>
        <desc id={`${id}-desc`}>{summary}</desc>
        {parts.map((part) => {
          const segment = segments[part.segment];
          const name = segment ? segmentTitle(segment) : "";
          return (
            <rect
              key={`${part.segment}-${part.origin}`}
              data-origin={part.origin}
              x={percent(part.start)}
              width={percent(part.width)}
              height="28"
              fill={ORIGIN_COLOURS[part.origin]}
            >
              <title>{`${name}: ${formatCount(part.tokens)} tokens, ${ORIGIN_NAMES[part.origin].toLowerCase()}`}</title>
            </rect>
          );
        })}
        {parts.slice(1).map((part, index) => {
          const inside = parts[index]?.segment === part.segment;
          return (
            <line
              key={`${part.segment}-${part.origin}`}
              x1={percent(part.start)}
              x2={percent(part.start)}
              y2="28"
              stroke="var(--c-surface)"
              strokeWidth={inside ? 0.75 : 2}
            />
          );
        })}
      </svg>
      <figcaption className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
        {present.map((origin) => (
          <span key={origin} className="inline-flex items-center gap-1.5">
            <Swatch colour={ORIGIN_COLOURS[origin]} />
            {ORIGIN_NAMES[origin]}
            <span className="tabular-nums">{formatCount(totals.get(origin) ?? 0)}</span>
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
