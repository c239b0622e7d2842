import type { ButtonHTMLAttributes, Ref } from "react";

const LOOKS = {
  primary: "bg-accent text-on-accent hover:bg-accent-hover",
  plain: "border border-line bg-surface hover:bg-sunken",
  quiet: "text-muted hover:bg-sunken hover:text-ink",
  danger: "border border-danger/40 bg-danger-soft text-danger hover:border-danger",
} as const;

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: keyof typeof LOOKS;
  square?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ look = "plain", square = false, className = "", ...rest }: Props) {
  const size = square ? "size-9 justify-center" : "h-9 px-3.5";
  return (
    <button
      type="button"
      className={`inline-flex shrink-0 items-center gap-1.5 rounded-lg text-sm font-medium transition-colors disabled:cursor-not-allowed disabled:opacity-45 aria-disabled:cursor-not-allowed aria-disabled:opacity-45 ${size} ${LOOKS[look]} ${className}`}
      {...rest}
    />
  );
}
