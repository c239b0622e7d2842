/** Why an answer is believed: both sides, what counts once, each source's range, and what the
 * outcome would be without some of them. */
import { useCallback, useEffect, useState } from "react";
import { getExplanation } from "../../api/client";
import type { Explanation, Family, Id, JudgedAnswer } from "../../api/types";
import { useLoad } from "../../hooks/useLoad";
import { formatPercent } from "../../lib/format";
import { chanceNote, changed, headline } from "../../lib/verdict";
import { Notice } from "../ui/Notice";
import { SourceBeliefs } from "./SourceBeliefs";

const HEAD = "text-xs font-medium text-muted";

function Answers({ answers }: { answers: JudgedAnswer[] }) {
  return (
    <ul className="mt-1 space-y-1 text-sm">
      {answers.map((answer) => (
        <li key={`${answer.sense}:${answer.answer}`} className="flex items-baseline gap-2">
          <span className="w-12 shrink-0 text-right text-muted tabular-nums">
            {formatPercent(answer.probability)}
          </span>
          <span className="min-w-0 break-words">
            {answer.sense && <span className="text-muted">{answer.sense}: </span>}
            {answer.answer}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Only what stands in the passage is quoted; what a model read in it is marked as that. */
function Words({ said, quote }: { said: string; quote: string }) {
  return (
    <>
      {quote && `“${quote}”`}
      {!quote.includes(said) && (
        <span className="text-muted">
          {quote && " "}Read as: {said}
        </span>
      )}
    </>
  );
}

function Families({ title, families }: { title: string; families: Family[] }) {
  if (families.length === 0) return null;
  return (
    <section>
      <h4 className={HEAD}>{title}</h4>
      <ul className="mt-1 space-y-2 text-sm">
        {families.map((family) => (
          <li key={`${family.family}:${family.answer}`} className="border-l-2 border-line pl-3">
            {family.passages.map((passage) => (
              <p key={passage.chunk_id} className="break-words">
                <span className="font-medium">{passage.source}</span>
                <span className="text-muted">, {passage.title}: </span>
                <Words said={passage.said} quote={passage.quote} />
              </p>
            ))}
            {family.passages.length > 1 && (
              <p className="text-xs text-muted">Counted once: {reasons(family)}.</p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

const reasons = (family: Family) =>
  [...new Set(family.counted_once.map(({ why, level }) => `${why} (${level})`))].join("; ") ||
  "one source";

export function EvidenceView({ runId }: { runId: Id }) {
  const [without, setWithout] = useState<readonly string[]>([]);
  const [whole, setWhole] = useState<Explanation | null>(null);
  const load = useCallback(
    (signal: AbortSignal) => getExplanation(runId, without, signal),
    [runId, without],
  );
  const { value, error } = useLoad(load);
  useEffect(() => {
    if (value?.without.length === 0) setWhole(value);
  }, [value]);
  if (error) return <Notice kind="error">{error}</Notice>;
  if (!value || !whole) return <p className="text-sm text-muted">Loading the evidence…</p>;

  const toggle = (name: string) =>
    setWithout(without.includes(name) ? without.filter((n) => n !== name) : [...without, name]);
  const change = changed(whole, value);
  const note = chanceNote(value);
  return (
    <div className="space-y-4">
      <div aria-live="polite">
        <p className="font-medium">{headline(value)}</p>
        {change && (
          <p className="text-sm text-muted">
            Without {value.without.join(", ")} {change}
          </p>
        )}
        {note && <p className="text-xs text-muted">{note}</p>}
        <Answers answers={[...value.answers, ...value.others]} />
      </div>
      <Families
        title={value.kind === "disagree" ? "What the sides rest on" : "For it"}
        families={value.supporting}
      />
      <Families title="For something else" families={value.opposing} />
      <SourceBeliefs
        sources={whole.sources}
        whatIf={whole.what_if}
        without={without}
        onToggle={toggle}
      />
    </div>
  );
}
