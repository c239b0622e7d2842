/** A native choice list, styled: keyboard, screen readers and phones get what they know. */
import type { SelectHTMLAttributes } from "react";
import { Icon } from "./Icon";

interface Props extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  options: readonly { value: string; text: string }[];
}

export function Select({ label, options, className = "", ...rest }: Props) {
  return (
    <span className={`relative inline-flex min-w-0 items-center ${className}`}>
      <select
        aria-label={label}
        className="h-9 w-full min-w-0 appearance-none truncate rounded-lg border border-line bg-surface pr-8 pl-3 text-sm hover:bg-sunken disabled:opacity-50"
        {...rest}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
      <Icon name="chevron" className="pointer-events-none absolute right-2 size-4 text-muted" />
    </span>
  );
}
