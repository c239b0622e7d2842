/** The page before the first question: what this is, and something to ask. */
import type { Collection } from "../../api/types";
import { examplesFor } from "../../lib/examples";
import { plural } from "../../lib/format";

interface Props {
  collections: Collection[] | null;
  collection: Collection | null;
  failed: boolean; // the collections could not be loaded; the page says so elsewhere
  onAsk: (question: string) => void;
}

const LINK = "font-medium text-accent underline underline-offset-2";

function Hint({ collections, collection, failed }: Omit<Props, "onAsk">) {
  if (collections === null) return failed ? null : <>Looking for your collections…</>;
  if (collections.length === 0) {
    return (
      <>
        There is no collection yet. <a href="#/documents" className={LINK}>Add documents</a> to begin.
      </>
    );
  }
  if (collection === null) return null;
  if (collection.documents === 0) {
    return (
      <>
        “{collection.name}” is empty. <a href="#/documents" className={LINK}>Add documents</a> to it.
      </>
    );
  }
  return (
    <>
      “{collection.name}” holds {plural(collection.documents, "document")} in{" "}
      {plural(collection.chunks, "passage")}.
    </>
  );
}

export function Welcome({ collections, collection, failed, onAsk }: Props) {
  const examples = collection ? examplesFor(collection.name) : [];
  return (
    <div className="m-auto w-full max-w-2xl py-8">
      <h1 className="text-3xl leading-tight font-semibold tracking-tight text-balance sm:text-4xl">
        What would you like to know?
      </h1>
      <p className="mt-3 max-w-xl text-muted">
        Answers come from your documents, cite the passage they rest on, and show what was reused to
        give them.
      </p>
      <p className="mt-3 text-sm text-muted">
        <Hint collections={collections} collection={collection} failed={failed} />
      </p>
      {examples.length > 0 && (
        <ul aria-label="Example questions" className="mt-6 grid gap-2.5 sm:grid-cols-3">
          {examples.map((question) => (
            <li key={question}>
              <button
                type="button"
                onClick={() => onAsk(question)}
                className="h-full w-full rounded-xl border border-line bg-surface px-4 py-3 text-left text-sm shadow-card transition-colors hover:border-accent"
              >
                {question}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
