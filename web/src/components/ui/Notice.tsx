/** A message that stands out: an error, a warning or a plain note. */
import type { ReactNode } from "react";
import { Icon } from "./Icon";

const LOOKS = {
  error: "border-danger/30 bg-danger-soft text-danger",
  warning: "border-warn/30 bg-warn-soft text-warn",
  note: "border-line bg-sunken text-muted",
} as const;

interface Props {
  kind: keyof typeof LOOKS;
  children: ReactNode;
  action?: ReactNode;
}

export function Notice({ kind, children, action }: Props) {
  return (
    <div
      role={kind === "error" ? "alert" : undefined}
      className={`flex items-start gap-2.5 rounded-xl border px-3.5 py-2.5 text-sm ${LOOKS[kind]}`}
    >
      {kind !== "note" && <Icon name="alert" className="mt-0.5 size-4.5 shrink-0" />}
      <div className="min-w-0 flex-1 break-words">{children}</div>
      {action}
    </div>
  );
}
