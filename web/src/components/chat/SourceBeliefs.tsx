/** Sources that spoke: how far each is believed, on what that rests, and a switch to leave it out. */
import type { Believed, Explanation } from "../../api/types";
import { formatCount } from "../../lib/format";

interface Props {
  sources: Believed[];
  whatIf: Explanation["what_if"];
  without: readonly string[];
  onToggle: (source: string) => void;
}

const percent = (value: number) => `${(value * 100).toFixed(1)}%`;

/** The range that holds the truth in about 80 of 100 cases, and the mean in it. */
function Range({ source }: { source: Believed }) {
  const { low, mean, high } = source;
  const words = `Reliability ${mean.toFixed(2)}, in 80 of 100 cases between ${low.toFixed(2)} and ${high.toFixed(2)}`;
  return (
    <span role="img" aria-label={words} title={words} className="inline-flex items-center gap-2">
      <span className="relative h-1.5 w-20 rounded-full bg-line">
        <span
          className="absolute h-full rounded-full bg-accent/45"
          style={{ left: percent(low), width: percent(high - low) }}
        />
        <span
          className="absolute -top-0.5 h-2.5 w-0.5 bg-ink"
          style={{ left: percent(Math.min(mean, 0.98)) }}
        />
      </span>
      <span className="text-xs text-muted tabular-nums">{mean.toFixed(2)}</span>
    </span>
  );
}

function basis({ checked_by_people, cross_checked, unchecked }: Believed): string {
  if (checked_by_people + cross_checked + unchecked === 0) return "as stated, nothing observed";
  return `${formatCount(checked_by_people)} checked by people, ${formatCount(cross_checked)} crossed with others, ${formatCount(unchecked)} unchecked`;
}

export function SourceBeliefs({ sources, whatIf, without, onToggle }: Props) {
  if (sources.length === 0) return null;
  const decisive = new Set(whatIf.filter((item) => item.changes).map((item) => item.without));
  return (
    <fieldset>
      <legend className="text-xs font-medium text-muted">
        Sources that spoke; leave one out to see what would be
      </legend>
      <ul className="mt-1 divide-y divide-line text-sm">
        {sources.map((source) => (
          <li
            key={source.source_id}
            className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-2"
          >
            <label className="flex min-w-0 items-center gap-2.5">
              <input
                type="checkbox"
                checked={!without.includes(source.source)}
                onChange={() => onToggle(source.source)}
                className="size-4 shrink-0 accent-accent"
              />
              <span className="min-w-0 break-words">
                {source.source}
                {decisive.has(source.source) && (
                  <span className="ml-2 rounded bg-warn-soft px-1.5 text-xs text-warn">decisive</span>
                )}
                <span className="block text-xs text-muted">{basis(source)}</span>
              </span>
            </label>
            <Range source={source} />
          </li>
        ))}
      </ul>
    </fieldset>
  );
}
