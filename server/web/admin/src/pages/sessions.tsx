import { useEffect, useState } from "preact/hooks";
import { counted, formatNumber } from "../../../shared/format.ts";
import { can, get } from "../api/client.ts";
import type { Session, SessionFacets } from "../api/types.ts";
import { href, useUrl } from "../router.ts";
import { ButtonLink, Confirm, LoadedPart, Nothing, Page, Said, Time } from "../ui/basics.tsx";
import { useBulkDelete } from "../ui/bulk_delete.ts";
import { useData } from "../ui/data.ts";
import {
  Bulk,
  type Column,
  DateFilter,
  Filter,
  Filters,
  forgetCounts,
  Incomplete,
  listQuery,
  Pager,
  Search,
  Table,
  useList,
} from "../ui/list.tsx";

export const session_filters = [
  "q",
  "created",
  "created_from",
  "created_to",
  "updated",
  "updated_from",
  "updated_to",
  "leads",
] as const;

const default_sort = "-updated";

export const sessionPath = (session_id: string) => `/sessions/${encodeURIComponent(session_id)}/`;

// A number as a telephone dials it; empty when it does not look like one.
const dialled = (phone: string) =>
  /^\+?[\d\s().\/-]{3,}$/.test(phone) ? phone.replace(/[^\d+]/g, "") : "";

// Enough to let a mail program try.
const is_address = (email: string) => /^[^\s@<>"(),:;]+@[^\s@<>"(),:;]+$/.test(email);

export const Email = ({ email }: { email: string | null }) =>
  !email ? (
    <Nothing />
  ) : is_address(email) ? (
    <a href={`mailto:${encodeURIComponent(email).replace("%40", "@")}`} title={email}>
      <Said text={email} />
    </a>
  ) : (
    <Said text={email} />
  );

export const Phone = ({ phone }: { phone: string | null }) =>
  phone ? (
    dialled(phone) ? (
      <a href={`tel:${dialled(phone)}`}>
        <Said text={phone} />
      </a>
    ) : (
      <Said text={phone} />
    )
  ) : (
    <Nothing />
  );

const columns: Column<Session>[] = [
  {
    title: "Session",
    class: "id",
    cell: (row) => (
      <a href={href(sessionPath(row.session_id))} title={row.session_id}>
        <Said text={row.session_id} />
      </a>
    ),
  },
  {
    title: "Name",
    sort: "name",
    class: "short",
    cell: (row) => (row.user_name ? <Said text={row.user_name} /> : <Nothing />),
  },
  {
    title: "E-mail",
    sort: "email",
    class: "short email",
    cell: (row) => <Email email={row.user_email} />,
  },
  { title: "Phone", class: "phone", cell: (row) => <Phone phone={row.user_phone} /> },
  {
    title: "Messages",
    sort: "messages",
    class: "number",
    cell: (row) =>
      can("chat.view_message") ? (
        <a
          href={href(`${sessionPath(row.session_id)}conversation/`)}
          aria-label={`Conversation: ${counted(row.message_count, "message")}`}
        >
          {formatNumber(row.message_count)}
        </a>
      ) : (
        formatNumber(row.message_count)
      ),
  },
  {
    title: "Last message",
    class: "preview",
    cell: (row) =>
      row.last_message ? (
        <>
          <span class="who">{row.last_message.is_bot ? "Bot" : "Visitor"}</span>{" "}
          <Said text={row.last_message.preview} />
          <small>
            <Time at={row.last_message.created_at} />
          </small>
        </>
      ) : (
        <Nothing />
      ),
  },
  { title: "Created", sort: "created", class: "time", cell: (row) => <Time at={row.created_at} /> },
  { title: "Updated", sort: "updated", class: "time", cell: (row) => <Time at={row.updated_at} /> },
];

export const may_delete_sessions = () =>
  can("chat.delete_chatsession") && can("chat.delete_message");

// Sessions, or the leads among them.
export function Sessions({ leads }: { leads: boolean }) {
  const { path, query } = useUrl();
  const own = listQuery(
    leads ? session_filters.filter((name) => name !== "leads") : session_filters,
  );
  const filters = leads ? { ...own, leads: "1" } : own;
  const sort = query.get("sort") ?? default_sort;
  const list = useList<Session>("sessions/", { ...filters, sort });
  const facets = useData("session facets", (signal) =>
    get<SessionFacets>("sessions/facets/", {}, signal),
  );
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  const [asking, setAsking] = useState(false);
  const shown = `${path}?${query.toString()}`;
  useEffect(() => {
    setChosen(new Set());
    setAll(false);
  }, [shown]);
  const rows = list.data?.results ?? [];
  const what = leads ? "lead" : "session";
  const names = leads ? session_filters.filter((name) => name !== "leads") : session_filters;

  return (
    <Page
      wide
      title={leads ? "Leads" : "Chat sessions"}
      crumbs={[{ text: leads ? "Leads" : "Chat sessions" }]}
      actions={
        <>
          {can("chat.add_chatsession") && !leads && (
            <ButtonLink to="/sessions/add/">Add session</ButtonLink>
          )}
          <ExportLink what={leads ? "leads" : "sessions"} filters={filters} />
        </>
      }
    >
      <Search
        label="Search id, name, e-mail, phone and message text"
        filters={names}
        list={list.data}
        loading={list.loading}
        one={what}
      />
      <Incomplete list={list.data} />
      <div class="with-filters">
        <LoadedPart of={list}>
          {(list) => (
            <>
              {may_delete_sessions() && rows.length > 0 && (
                <Bulk
                  label="Chosen"
                  action="Delete selected chat sessions"
                  one={what}
                  list={list}
                  shown={rows.length}
                  selection={{ chosen, set: setChosen }}
                  all={all}
                  setAll={setAll}
                  onGo={() => setAsking(true)}
                />
              )}
              {rows.length > 0 ? (
                <Table
                  label={leads ? "Leads" : "Chat sessions"}
                  columns={columns}
                  rows={rows}
                  id={(row) => row.session_id}
                  name={(row) => row.user_name || row.session_id}
                  sort={sort}
                  selection={
                    may_delete_sessions()
                      ? {
                          chosen,
                          set: (next) => {
                            setAll(false);
                            setChosen(next);
                          },
                        }
                      : undefined
                  }
                />
              ) : (
                <p class="empty">No {what}s here.</p>
              )}
              <Pager list={list} />
            </>
          )}
        </LoadedPart>
        <Filters names={names}>
          <DateFilter title="By created" name="created" facets={facets.data?.created} />
          <DateFilter title="By updated" name="updated" facets={facets.data?.updated} />
          {!leads && (
            <Filter
              title="By contact"
              name="leads"
              choices={[
                { value: null, text: "All", count: facets.data?.created.any },
                { value: "1", text: "Leads only", count: facets.data?.leads },
              ]}
            />
          )}
        </Filters>
      </div>
      {asking && list.data && (
        <DeleteSessions
          rows={rows.filter((row) => chosen.has(row.session_id))}
          filter={all ? filters : null}
          count={list.data.count ?? 0}
          onClose={() => setAsking(false)}
          onDone={() => {
            setAsking(false);
            setChosen(new Set());
            setAll(false);
            forgetCounts();
            list.reload();
            facets.reload();
          }}
        />
      )}
    </Page>
  );
}

interface DeleteSessionsProps {
  rows: Session[];
  // Everything that matches it, in place of the rows.
  filter: Record<string, string> | null;
  count: number;
  onClose: () => void;
  onDone: () => void;
}

function DeleteSessions({ rows, filter, count, onClose, onDone }: DeleteSessionsProps) {
  const { busy, expected, run } = useBulkDelete<{ sessions: number; messages: number }>({
    path: "sessions/delete/",
    chosen: { session_ids: rows.map((row) => row.session_id) },
    filter,
    count,
    said: (deleted) =>
      `Deleted ${counted(deleted.sessions, "session")} and ${counted(deleted.messages, "message")}.`,
    onClose,
    onDone,
  });
  const messages = rows.reduce((sum, row) => sum + row.message_count, 0);
  const sessions = filter ? expected : rows.length;
  return (
    <Confirm
      title={`Delete ${counted(sessions, "session")}?`}
      action="Yes, delete them"
      busy={busy}
      onConfirm={() => void run()}
      onClose={onClose}
    >
      {filter && expected !== count && (
        <p class="note">
          Nothing was deleted: {counted(count, "session")} matched when the list was shown,{" "}
          {formatNumber(expected)} match now.
        </p>
      )}
      <p>With them go, for good:</p>
      <ul>
        <li>
          {filter ? "all their messages" : counted(messages, "message")}, questions and answers
        </li>
        <li>what is known of each turn: status, model, tokens, times</li>
      </ul>
      {!filter && (
        <details open={rows.length <= 10}>
          <summary>{counted(rows.length, "session")}</summary>
          <ul class="victims">
            {rows.map((row) => (
              <li key={row.session_id}>
                <Said text={row.user_name || row.user_email || row.session_id} /> –{" "}
                {counted(row.message_count, "message")}
              </li>
            ))}
          </ul>
        </details>
      )}
    </Confirm>
  );
}

interface ExportLinkProps {
  what: "sessions" | "leads" | "messages";
  filters: Record<string, string>;
}

export function ExportLink({ what, filters }: ExportLinkProps) {
  const parameters = new URLSearchParams({ ...filters, what });
  if (what === "leads") parameters.delete("leads");
  return <ButtonLink to={`/export/?${parameters.toString()}`}>Export these</ButtonLink>;
}
