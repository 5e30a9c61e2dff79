import { useState } from "preact/hooks";
import { ApiError, post } from "../api/client.ts";
import { flash } from "../messages.ts";

export interface BulkDelete {
  busy: boolean;
  // How many match the filter: those that were shown, or, once the server has said so, those that
  // do by now.
  expected: number;
  run: () => Promise<void>;
}

interface BulkDeleteOptions<Deleted> {
  // Such as "messages/delete/".
  path: string;
  chosen: Record<string, unknown>;
  // Everything that matches it, in place of what was chosen.
  filter: Record<string, string> | null;
  count: number;
  said: (deleted: Deleted) => string;
  onClose: () => void;
  onDone: () => void;
}

// Deletes what was chosen, or all that match a filter if they are as many as were shown: when others
// have come since, nothing is deleted and the question is asked anew.
export function useBulkDelete<Deleted>(options: BulkDeleteOptions<Deleted>): BulkDelete {
  const { path, chosen, filter, count, said, onClose, onDone } = options;
  const [busy, setBusy] = useState(false);
  const [expected, setExpected] = useState(count);
  const run = async () => {
    setBusy(true);
    try {
      const { deleted } = await post<{ deleted: Deleted }>(
        path,
        filter ? { filter, expected } : chosen,
      );
      onDone();
      flash("success", said(deleted));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const now = error.body["count"];
      if (error.code === "changed" && typeof now === "number") {
        setExpected(now);
      } else {
        onClose();
        flash("error", error.message);
      }
    } finally {
      setBusy(false);
    }
  };
  return { busy, expected, run };
}
