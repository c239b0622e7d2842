/** One question with its answer, as far as it has come. */
import { memo } from "react";
import type { Citation } from "../../api/types";
import { plural } from "../../lib/format";
import { isRunning, type Turn } from "../../state/chat";
import { Notice } from "../ui/Notice";
import { Answer } from "./Answer";
import { ReuseLine } from "./ReuseLine";
import { SourceList } from "./SourceList";
import { VerdictLine } from "./VerdictLine";

interface Props {
  turn: Turn;
  onOpen: (citation: Citation) => void;
}

function phaseText(turn: Turn): string | null {
  if (turn.answer !== "") return null;
  if (turn.phase === "searching") return "Searching the collection…";
  if (turn.phase === "reading") return `Reading ${plural(turn.passages.length, "passage")}…`;
  return turn.phase === "writing" ? "Writing…" : null;
}

/** What to say about an answer that did not simply end; null where it did. */
function endText(turn: Turn): string | null {
  if (turn.phase === "stopped") {
    return turn.answer ? "Stopped here." : "Stopped before the answer began.";
  }
  if (turn.completed?.finish_reason === "length") return "Cut off at the longest allowed answer.";
  return null;
}

function Body({ turn, onOpen }: Props) {
  if (turn.completed?.finish_reason === "no_match") {
    return <Notice kind="note">{turn.answer}</Notice>;
  }
  if (turn.answer === "") return null;
  return <Answer text={turn.answer} citations={turn.citations} onOpen={onOpen} />;
}

export const TurnView = memo(function TurnView({ turn, onOpen }: Props) {
  const phase = phaseText(turn);
  const end = endText(turn);
  return (
    <article aria-busy={isRunning(turn)} className="space-y-4">
      <h2 className="sr-only">Question</h2>
      <div className="flex justify-end">
        <p className="max-w-[85%] rounded-2xl rounded-br-md bg-accent-soft px-4 py-2.5 break-words whitespace-pre-wrap">
          {turn.question}
        </p>
      </div>
      <div className="space-y-3">
        <h3 className="sr-only">Answer</h3>
        {phase && (
          <p className="flex items-center gap-2.5 text-muted">
            <span aria-hidden="true" className="size-2 animate-pulse rounded-full bg-accent" />
            {phase}
          </p>
        )}
        <Body turn={turn} onOpen={onOpen} />
        {end && <p className="text-sm text-muted">{end}</p>}
        {turn.error && <Notice kind="error">{turn.error.message}</Notice>}
        <SourceList citations={turn.citations} onOpen={onOpen} />
        <VerdictLine turn={turn} />
        <ReuseLine turn={turn} />
      </div>
    </article>
  );
});
