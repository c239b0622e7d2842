/** Where a cited passage opens: beside the conversation, or as a dialog where there is no room. */
import { useEffect, useId, useRef } from "react";
import type { Citation } from "../../api/types";
import { useMediaQuery } from "../../hooks/useMediaQuery";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { PassageView } from "./PassageView";

interface Props {
  citation: Citation;
  onClose: () => void;
}

const titleOf = (citation: Citation) => `${citation.number}. ${citation.title ?? citation.source}`;

function SidePanel({ citation, onClose }: Props) {
  const titleId = useId();
  const closeButton = useRef<HTMLButtonElement>(null);

  // Another citation may be opened while this one shows: each time focus goes in, and on closing
  // back to the button that was used last.
  const opener = useRef<Element | null>(null);
  useEffect(() => {
    const active = document.activeElement;
    if (active !== closeButton.current) opener.current = active;
    closeButton.current?.focus({ preventScroll: true });
  }, [citation]);
  useEffect(
    () => () => {
      if (opener.current instanceof HTMLElement) opener.current.focus({ preventScroll: true });
    },
    [],
  );
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && onClose();
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [onClose]);

  return (
    <aside
      aria-labelledby={titleId}
      className="flex w-[26rem] shrink-0 flex-col border-l border-line bg-surface xl:w-[30rem]"
    >
      <header className="flex items-start justify-between gap-3 border-b border-line py-3 pr-3 pl-5">
        <h2 id={titleId} className="pt-1.5 font-semibold break-words">
          {titleOf(citation)}
        </h2>
        <Button ref={closeButton} look="quiet" square aria-label="Close passage" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      <div tabIndex={0} className="overflow-y-auto px-5 py-4 -outline-offset-2">
        <PassageView key={citation.chunk_id} citation={citation} />
      </div>
    </aside>
  );
}

export function PassagePanel({ citation, onClose }: Props) {
  const roomy = useMediaQuery("(min-width: 1024px)");
  if (roomy) return <SidePanel citation={citation} onClose={onClose} />;
  return (
    <Dialog title={titleOf(citation)} onClose={onClose}>
      <PassageView citation={citation} />
    </Dialog>
  );
}
