/** Figures in words. Pure functions, no React. */
import type { Completed, Mode } from "../api/types";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const formatCount = (value: number) => whole.format(value);
export const formatCompact = (value: number) => compact.format(value);
export const formatDateTime = (iso: string) => dateTime.format(new Date(iso));

/** Axis label: the hour for a window of two days or less, else the day. */
export const formatTick = (iso: string, hours: number) =>
  (hours <= 48 ? clock : day).format(new Date(iso));

export function formatMs(ms: number): string {
  if (ms < 99.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

export function formatPercent(share: number): string {
  if (share > 0 && share < 0.005) return "under 1%";
  if (share < 1 && share > 0.995) return "over 99%";
  return `${Math.round(share * 100)}%`;
}

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

type Reuse = Pick<Completed, "tokens" | "timings_ms" | "full_prefill_ms_estimate">;

/** The line under an answer; null where nothing was computed at all (no passage matched). */
export function reuseLine(run: Reuse, mode: Mode): string | null {
  const { prompt, exact_prefix, reused } = run.tokens;
  if (prompt === 0) return null;
  const ttft = run.timings_ms.ttft ?? 0;
  const time = ttft > 0 ? formatMs(ttft) : null;
  if (mode === "off") return join(`computed in full: ${formatCount(prompt)} tokens`, time);
  const taken = exact_prefix + reused;
  if (taken === 0) return join(`nothing stored yet: computed ${formatCount(prompt)} tokens`, time);
  const full = run.full_prefill_ms_estimate;
  // A gain that rounding hides is none to a reader.
  const isGain = time !== null && full > ttft && formatMs(full) !== time;
  const gain = isGain ? `${time} instead of ${formatMs(full)}` : time;
  return join(`reused ${formatCount(taken)} of ${formatCount(prompt)} tokens`, gain);
}

function join(first: string, second: string | null): string {
  return second === null ? first : `${first}, ${second}`;
}
