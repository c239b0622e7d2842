/** Picks the page. The conversation lives here, so it outlasts a look at another page. */
import { lazy, Suspense } from "react";
import { Shell } from "./components/Shell";
import { useChat } from "./hooks/useChat";
import { useRoute } from "./hooks/useRoute";
import { ChatPage } from "./pages/ChatPage";

const DocumentsPage = lazy(() => import("./pages/DocumentsPage"));
const AdminPage = lazy(() => import("./pages/AdminPage"));

export function App() {
  const { page, runId } = useRoute();
  const control = useChat();
  return (
    <Shell page={page}>
      <Suspense fallback={<p className="p-8 text-center text-muted">Loading…</p>}>
        {page === "chat" && <ChatPage control={control} />}
        {page === "documents" && <DocumentsPage />}
        {page === "admin" && <AdminPage runId={runId} />}
      </Suspense>
    </Shell>
  );
}
