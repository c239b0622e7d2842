/** A chart with its title, what it counts, and the same figures as a table on demand. */
import { type ReactNode, useId, useState } from "react";
import { Button } from "../ui/Button";

export interface TableData {
  head: string[];
  rows: (string | number)[][];
}

interface Props {
  title: string;
  note: string;
  table: TableData | null; // null: nothing to show yet, `children` says so
  children: ReactNode;
}

function Table({ data, title }: { data: TableData; title: string }) {
  return (
    <div className="max-h-80 overflow-auto rounded-lg" tabIndex={0} role="region" aria-label={`${title}, table`}>
      <table className="w-full text-sm tabular-nums">
        <thead className="sticky top-0 bg-surface text-left text-xs text-muted">
          <tr>
            {data.head.map((name) => (
              <th key={name} className="py-1.5 pr-4 font-medium whitespace-nowrap">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.rows.map((row, index) => (
            <tr key={index} className="border-t border-line">
              {row.map((cell, column) => (
                <td key={data.head[column]} className="py-1.5 pr-4 whitespace-nowrap">
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function ChartCard({ title, note, table, children }: Props) {
  const [asTable, setAsTable] = useState(false);
  const titleId = useId();
  return (
    <section
      aria-labelledby={titleId}
      className="min-w-0 rounded-2xl border border-line bg-surface p-4 shadow-card sm:p-5"
    >
      <header className="mb-4 flex items-start justify-between gap-3">
        <div>
          <h2 id={titleId} className="font-semibold">
            {title}
          </h2>
          <p className="text-sm text-muted">{note}</p>
        </div>
        {table && (
          <Button look="quiet" className="-mt-1 -mr-2" onClick={() => setAsTable(!asTable)}>
            {asTable ? "Show as chart" : "Show as table"}
          </Button>
        )}
      </header>
      {asTable && table ? <Table data={table} title={title} /> : children}
    </section>
  );
}
