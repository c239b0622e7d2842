/** Files on their way to the server. They leave the list once the server has taken them. */

export interface Sending {
  key: number;
  name: string;
  size: number;
  share: number; // sent so far, 0 to 1
  error: string | null;
}

export type UploadAction =
  | { type: "added"; key: number; name: string; size: number }
  | { type: "progress"; key: number; share: number }
  | { type: "failed"; key: number; error: string }
  | { type: "removed"; key: number };

export function uploadsReducer(uploads: Sending[], action: UploadAction): Sending[] {
  switch (action.type) {
    case "added":
      return [...uploads, { key: action.key, name: action.name, size: action.size, share: 0, error: null }];
    case "progress":
      return change(uploads, action.key, { share: action.share });
    case "failed":
      return change(uploads, action.key, { error: action.error });
    case "removed":
      return uploads.filter((upload) => upload.key !== action.key);
  }
}

function change(uploads: Sending[], key: number, part: Partial<Sending>): Sending[] {
  return uploads.map((upload) => (upload.key === key ? { ...upload, ...part } : upload));
}
