/** Files being sent, and those the server would not take. */
import { formatBytes, formatPercent } from "../../lib/format";
import type { Sending } from "../../state/uploads";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Progress } from "../ui/Progress";

interface Props {
  uploads: Sending[];
  onDismiss: (key: number) => void;
}

function status(upload: Sending): string {
  if (upload.error) return upload.error;
  const share = upload.share < 1 ? `${formatPercent(upload.share)} sent` : "taking it in";
  return `${formatBytes(upload.size)}, ${share}`;
}

export function SendingList({ uploads, onDismiss }: Props) {
  if (uploads.length === 0) return null;
  return (
    <ul aria-label="Files being sent" className="space-y-2">
      {uploads.map((upload) => (
        <li
          key={upload.key}
          className="flex items-center gap-3 rounded-xl border border-line bg-surface py-2.5 pr-2 pl-4"
        >
          <div className="min-w-0 flex-1">
            <p className="truncate text-sm font-medium">{upload.name}</p>
            <p
              role={upload.error ? "alert" : undefined}
              className={`text-sm ${upload.error ? "text-danger" : "text-muted"}`}
            >
              {status(upload)}
            </p>
            {!upload.error && (
              <div className="mt-1.5">
                <Progress label={`Sending ${upload.name}`} share={upload.share} />
              </div>
            )}
          </div>
          <Button
            look="quiet"
            square
            aria-label={`${upload.error ? "Dismiss" : "Cancel"} ${upload.name}`}
            onClick={() => onDismiss(upload.key)}
          >
            <Icon name="close" className="size-4" />
          </Button>
        </li>
      ))}
    </ul>
  );
}
