/** Collections, their documents, and the sources these come from. */
import { useCallback } from "react";
import { listSources } from "../api/client";
import { CollectionBar } from "../components/documents/CollectionBar";
import { CollectionDocuments } from "../components/documents/CollectionDocuments";
import { SourcePanel } from "../components/documents/SourcePanel";
import { Button } from "../components/ui/Button";
import { Empty } from "../components/ui/Empty";
import { Notice } from "../components/ui/Notice";
import { useCollections } from "../hooks/useCollections";
import { useLoad } from "../hooks/useLoad";

export default function DocumentsPage() {
  const state = useCollections();
  const sources = useLoad(listSources);
  const { reload: reloadCollections } = state;
  const { reload: reloadSources } = sources;
  const onChanged = useCallback(() => {
    reloadCollections();
    reloadSources();
  }, [reloadCollections, reloadSources]);

  return (
    <div className="relative h-full overflow-y-auto px-4 py-6 sm:px-6 sm:py-8">
      <div className="mx-auto max-w-6xl space-y-6">
        <h1 className="text-2xl font-semibold tracking-tight">Documents</h1>
        {state.error && (
          <Notice kind="error" action={<Button onClick={onChanged}>Try again</Button>}>
            {state.error}
          </Notice>
        )}
        <CollectionBar state={state} />
        <div className="grid items-start gap-8 lg:grid-cols-[minmax(0,1fr)_20rem]">
          <section aria-label="Collection">
            {state.picked && (
              <CollectionDocuments
                key={state.picked.id}
                collection={state.picked}
                sources={sources.value ?? []}
                onChanged={onChanged}
              />
            )}
            {state.collections?.length === 0 && (
              <Empty title="No collection yet">Create one, then drop files into it.</Empty>
            )}
          </section>
          <section aria-labelledby="sources-title">
            <h2 id="sources-title" className="font-semibold">
              Sources
            </h2>
            <p className="mt-0.5 mb-3 text-sm text-muted">
              How far each is believed, from 0 to 1. It weighs when passages are picked.
            </p>
            {sources.error && <Notice kind="error">{sources.error}</Notice>}
            <SourcePanel sources={sources.value} />
          </section>
        </div>
      </div>
    </div>
  );
}
