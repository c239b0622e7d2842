/** A modal dialog on the browser's own element: it traps focus, closes on Escape and gives focus
 * back to what opened it. On phones it rises from the bottom. */
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./Button";
import { Icon } from "./Icon";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide = false }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    // Else the browser picks the first button, which is Close.
    dialog?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    // Closing before the element goes away is what returns focus to the opener.
    return () => dialog?.close();
  }, []);

  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
      className={`mx-auto mt-auto mb-0 max-h-[85dvh] w-full max-w-full overflow-hidden rounded-t-2xl bg-surface p-0 text-ink shadow-raised sm:my-auto sm:rounded-2xl ${wide ? "sm:max-w-3xl" : "sm:max-w-lg"}`}
    >
      <div className="flex max-h-[85dvh] flex-col">
        <header className="flex items-start justify-between gap-3 border-b border-line py-3 pr-3 pl-5">
          <h2 id={titleId} className="pt-1 font-semibold break-words">
            {title}
          </h2>
          <Button look="quiet" square aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </Button>
        </header>
        <div tabIndex={0} className="overflow-y-auto px-5 py-4 -outline-offset-2">{children}</div>
      </div>
    </dialog>
  );
}
