import type { AuditEntry } from "../api/types.ts";
import { href } from "../router.ts";
import { Nothing, Said, Time } from "./basics.tsx";
import { type Column, Table } from "./list.tsx";

const words: Record<string, string> = {
  login: "logged in",
  login_failed: "log-in failed",
  logout: "logged out",
  password: "changed a password",
  view: "viewed",
  search: "searched",
  export: "exported",
  add: "added",
  change: "changed",
  delete: "deleted",
  erase: "erased a person",
  user: "changed a user",
  token: "changed a token",
};

export const audit_actions = Object.keys(words);
export const actionText = (action: string) => words[action] ?? action;

// Where the object of an entry is to be found; null when it has no page.
function pageOf({ model, object_id, action }: AuditEntry): string | null {
  if (!object_id) return null;
  // The object of a message is its session.
  if (model === "message") return `/sessions/${encodeURIComponent(object_id)}/`;
  if (action === "delete" || action === "erase") return null;
  if (model === "session") return `/sessions/${encodeURIComponent(object_id)}/`;
  if (model === "user") return `/users/${encodeURIComponent(object_id)}/`;
  return null;
}

export function AuditObject({ entry }: { entry: AuditEntry }) {
  if (!entry.object_id) return entry.model ? <span>{entry.model}</span> : <Nothing />;
  const page = pageOf(entry);
  const id = <Said text={entry.object_id} />;
  return (
    <>
      {entry.model} {page ? <a href={href(page)}>{id}</a> : id}
    </>
  );
}

// Entries of the audit log; short: of one object, without saying which.
export function AuditTable({ entries, short }: { entries: AuditEntry[]; short?: boolean }) {
  const columns: Column<AuditEntry>[] = [
    { title: "When", class: "time", cell: (entry) => <Time at={entry.at} /> },
    {
      title: "Who",
      cell: (entry) => (entry.user ? <Said text={entry.user} /> : <Nothing />),
    },
    {
      title: "What",
      cell: (entry) => <span class={`action did-${entry.action}`}>{actionText(entry.action)}</span>,
    },
    { title: "Object", class: "id", cell: (entry) => <AuditObject entry={entry} /> },
    {
      title: "Details",
      cell: (entry) => (entry.detail ? <Said text={entry.detail} /> : <Nothing />),
    },
    ...(short
      ? []
      : [
          {
            title: "From",
            cell: (entry: AuditEntry) => <code>{entry.address}</code>,
          },
        ]),
  ];
  return (
    <Table label="Changes" columns={columns} rows={entries} id={(entry) => String(entry.id)} />
  );
}
