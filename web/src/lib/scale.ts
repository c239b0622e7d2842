/** Arithmetic for charts: round axis ends, ticks, empirical distribution. No SVG here. */

/** Up to about `count` round steps from 0 to a round end at or above `max`. */
export function ticks(max: number, count = 4): number[] {
  if (max <= 0) return [0, 1];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const size = step ?? 10 * power;
  const steps = Math.ceil(max / size - 1e-9);
  return Array.from({ length: steps + 1 }, (_, index) => Number((index * size).toPrecision(12)));
}

export interface Point {
  value: number;
  share: number; // of all values that are at most `value`
}

export function distribution(values: readonly number[]): Point[] {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.map((value, index) => ({ value, share: (index + 1) / sorted.length }));
}
