/** How far a source is believed: a small bar with its number. */

export function Reliability({ value }: { value: number }) {
  return (
    <span
      role="img"
      aria-label={`Reliability ${value.toFixed(2)} of 1`}
      title={`Reliability ${value.toFixed(2)} of 1`}
      className="inline-flex items-center gap-1.5 align-middle"
    >
      <span className="h-1.5 w-10 overflow-hidden rounded-full bg-line">
        <span className="block h-full rounded-full bg-accent" style={{ width: `${value * 100}%` }} />
      </span>
      <span className="text-xs text-muted tabular-nums">{value.toFixed(2)}</span>
    </span>
  );
}
