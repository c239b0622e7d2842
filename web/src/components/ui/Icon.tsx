/** The few line icons the pages use, drawn on a 20 by 20 grid. Decorative: names are in the text. */
import type { SVGProps } from "react";

const PATHS = {
  chat: "M4 4.5h12a1.5 1.5 0 0 1 1.5 1.5v7a1.5 1.5 0 0 1-1.5 1.5H9l-4 3v-3H4A1.5 1.5 0 0 1 2.5 13V6A1.5 1.5 0 0 1 4 4.5Z",
  documents: "M6 2.5h5.5L16 7v9.5a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-13a1 1 0 0 1 1-1ZM11.5 2.5V7H16M7.8 10.5h5M7.8 13.5h5",
  admin: "M3 17h14M5 14v-4M9 14V5M13 14V8M16.5 14v-3",
  send: "M10 16V4.5M5 9l5-5 5 5",
  stop: "M6 6h8v8H6z",
  plus: "M10 4v12M4 10h12",
  close: "M5 5l10 10M15 5 5 15",
  chevron: "M6 8l4 4 4-4",
  upload: "M10 13V4M6 7.5 10 3.5l4 4M3.5 13v2.5a1 1 0 0 0 1 1h11a1 1 0 0 0 1-1V13",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 10a1 1 0 0 0 1 .9h4.6a1 1 0 0 0 1-.9L14 6",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1",
  moon: "M16.5 11.8A6.8 6.8 0 0 1 8.2 3.5a6.8 6.8 0 1 0 8.3 8.3Z",
  system: "M3 4.5h14v9H3zM7.5 17h5M10 13.5V17",
  alert: "M10 3 18 16.5H2L10 3ZM10 8v4M10 14.2v.1",
} as const;

export type IconName = keyof typeof PATHS;

interface Props extends SVGProps<SVGSVGElement> {
  name: IconName;
}

export function Icon({ name, className = "size-5", ...rest }: Props) {
  return (
    <svg
      viewBox="0 0 20 20"
      fill={name === "stop" ? "currentColor" : "none"}
      stroke="currentColor"
      strokeWidth={1.6}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className={className}
      {...rest}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo({ className = "size-7" }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" fill="none" aria-hidden="true" className={className}>
      <rect x="5" y="9" width="22" height="20" rx="5" className="fill-accent" />
      <rect x="8" y="3" width="16" height="4.5" rx="2" className="fill-accent" />
      <path
        d="M9.5 15h13M9.5 19.5h13M9.5 24h8"
        className="stroke-on-accent"
        strokeWidth="2.2"
        strokeLinecap="round"
      />
    </svg>
  );
}
