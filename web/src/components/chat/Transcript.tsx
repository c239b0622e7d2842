/** The conversation, kept scrolled to its end while the reader is there. Screen readers hear each
 * answer once, when it is complete, not token by token. */
import { useEffect, useRef } from "react";
import type { Citation } from "../../api/types";
import { isRunning, type Turn } from "../../state/chat";
import { spokenText } from "../../lib/text";
import { TurnView } from "./TurnView";

interface Props {
  turns: Turn[];
  onOpen: (citation: Citation) => void;
}

const NEAR_END = 80; // pixels

export function Transcript({ turns, onOpen }: Props) {
  const end = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const last = turns.at(-1);

  useEffect(() => {
    const scroller = end.current?.closest("[data-scroller]");
    if (!scroller) return;
    const watch = () => {
      const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
      atEnd.current = below < NEAR_END;
    };
    scroller.addEventListener("scroll", watch, { passive: true });
    return () => scroller.removeEventListener("scroll", watch);
  }, []);

  useEffect(() => {
    atEnd.current = true;
  }, [turns.length]);

  useEffect(() => {
    if (atEnd.current) end.current?.scrollIntoView({ block: "end" });
  }, [last]);

  const spoken = last && !isRunning(last) ? last.error?.message ?? spokenText(last.answer) : "";
  return (
    <>
      <div role="log" aria-label="Conversation" aria-live="off" className="space-y-10">
        {turns.map((turn) => (
          <TurnView key={turn.key} turn={turn} onOpen={onOpen} />
        ))}
      </div>
      <p aria-live="polite" className="sr-only">
        {spoken}
      </p>
      <div ref={end} className="h-6" />
    </>
  );
}
