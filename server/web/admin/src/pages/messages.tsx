import { useEffect, useState } from "preact/hooks";
import { counted, formatNumber, withDirectionsShown } from "../../../shared/format.ts";
import { can, get, patch, post, remove } from "../api/client.ts";
import type { FullMessage, FullSession, Message, MessageFacets } from "../api/types.ts";
import { navigateWith } from "../messages.ts";
import { href, lastSeen, navigate, useUrl, withQuery } from "../router.ts";
import { ButtonLink, Confirm, LoadedPart, Page, Said, Time, Yes } from "../ui/basics.tsx";
import { useBulkDelete } from "../ui/bulk_delete.ts";
import { useData } from "../ui/data.ts";
import { Conflict, useEditing } from "../ui/editing.tsx";
import {
  Check,
  Field,
  Restored,
  SaveButtons,
  SaveForm,
  Shown,
  useDraft,
  useSubmit,
} from "../ui/form.tsx";
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
import { SessionPicker } from "../ui/session_picker.tsx";
import { ExportLink, sessionPath } from "./sessions.tsx";

export const message_filters = [
  "q",
  "is_bot",
  "created",
  "created_from",
  "created_to",
  "session_id",
] as const;

const columns: Column<Message>[] = [
  {
    title: "Id",
    class: "number",
    cell: (row) => <a href={href(`/messages/${row.id}/`)}>{row.id}</a>,
  },
  {
    title: "Session",
    class: "id",
    cell: (row) =>
      can("chat.view_chatsession") ? (
        <a href={href(`${sessionPath(row.session_id)}conversation/`)} title={row.session_id}>
          <Said text={row.session_id} />
        </a>
      ) : (
        <Said text={row.session_id} />
      ),
  },
  { title: "Is bot", cell: (row) => <Yes is={row.is_bot} /> },
  { title: "Created", sort: "created", class: "time", cell: (row) => <Time at={row.created_at} /> },
  { title: "Content", class: "preview", cell: (row) => <Said text={row.preview} /> },
];

export function Messages() {
  const { query } = useUrl();
  const filters = listQuery(message_filters);
  const sort = query.get("sort") ?? "-created";
  const list = useList<Message>("messages/", { ...filters, sort });
  const facets = useData("message facets", (signal) =>
    get<MessageFacets>("messages/facets/", {}, signal),
  );
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  const [asking, setAsking] = useState(false);
  const shown = query.toString();
  useEffect(() => {
    setChosen(new Set());
    setAll(false);
  }, [shown]);
  const rows = list.data?.results ?? [];
  const may_delete = can("chat.delete_message");
  const session = query.get("session_id");
  return (
    <Page
      wide
      title="Messages"
      crumbs={[{ text: "Messages" }]}
      actions={
        <>
          {can("chat.add_message") && (
            <ButtonLink
              to={`/messages/add/${session ? `?session_id=${encodeURIComponent(session)}` : ""}`}
            >
              Add message
            </ButtonLink>
          )}
          <ExportLink what="messages" filters={filters} />
        </>
      }
    >
      <Search
        label="Search text and session id"
        filters={message_filters}
        list={list.data}
        loading={list.loading}
        one="message"
      />
      {session && (
        <p class="note">
          Only of session <Said text={session} />.{" "}
          <a href={href(withQuery({ session_id: null }))}>Show all sessions'</a>
        </p>
      )}
      <Incomplete list={list.data} />
      <div class="with-filters">
        <LoadedPart of={list}>
          {(list) => (
            <>
              {may_delete && rows.length > 0 && (
                <Bulk
                  label="Chosen"
                  action="Delete selected messages"
                  one="message"
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
                  label="Messages"
                  columns={columns}
                  rows={rows}
                  id={(row) => String(row.id)}
                  name={(row) => `message ${row.id}`}
                  sort={sort}
                  selection={
                    may_delete
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
                <p class="empty">No messages here.</p>
              )}
              <Pager list={list} />
            </>
          )}
        </LoadedPart>
        <Filters names={message_filters}>
          <Filter
            title="By is bot"
            name="is_bot"
            choices={[
              { value: null, text: "All", count: facets.data?.is_bot.any },
              { value: "1", text: "Yes", count: facets.data?.is_bot.yes },
              { value: "0", text: "No", count: facets.data?.is_bot.no },
            ]}
          />
          <DateFilter title="By created" name="created" facets={facets.data?.created} />
        </Filters>
      </div>
      {asking && list.data && (
        <DeleteMessages
          ids={[...chosen].map(Number)}
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

interface DeleteMessagesProps {
  ids: number[];
  filter: Record<string, string> | null;
  count: number;
  onClose: () => void;
  onDone: () => void;
}

function DeleteMessages({ ids, filter, count, onClose, onDone }: DeleteMessagesProps) {
  const { busy, expected, run } = useBulkDelete<{ messages: number }>({
    path: "messages/delete/",
    chosen: { ids },
    filter,
    count,
    said: (deleted) => `Deleted ${counted(deleted.messages, "message")}.`,
    onClose,
    onDone,
  });
  return (
    <Confirm
      title={`Delete ${counted(filter ? expected : ids.length, "message")}?`}
      action="Yes, delete them"
      busy={busy}
      onConfirm={() => void run()}
      onClose={onClose}
    >
      {filter && expected !== count && (
        <p class="note">
          Nothing was deleted: {counted(count, "message")} matched when the list was shown,{" "}
          {formatNumber(expected)} match now.
        </p>
      )}
      <p>
        They go for good. With a visitor's question goes what is known of its turn: status, model,
        tokens, times. Its answer stays.
      </p>
    </Confirm>
  );
}

type Form = { content: string; is_bot: string };

const formOf = (message: FullMessage): Form => ({
  content: message.content,
  is_bot: message.is_bot ? "Bot" : "Visitor",
});

export function MessageDetails({ id }: { id: string }) {
  const message = useData(`message ${id}`, (signal) =>
    get<FullMessage>(`messages/${encodeURIComponent(id)}/`, {}, signal),
  );
  return (
    <Page
      title={`Message ${id}`}
      crumbs={[{ text: "Messages", to: "/messages/" }, { text: `Message ${id}` }]}
      actions={
        message.data &&
        can("chat.view_chatsession") && (
          <ButtonLink to={`${sessionPath(message.data.session_id)}history/`}>History</ButtonLink>
        )
      }
    >
      <LoadedPart of={message}>{(data) => <ChangeMessage message={data} />}</LoadedPart>
    </Page>
  );
}

function ChangeMessage({ message: loaded }: { message: FullMessage }) {
  const editing = useEditing<FullMessage, Form>({
    key: `message ${loaded.id}`,
    loaded,
    formOf,
    send: ({ content, is_bot }, { version }) =>
      patch<FullMessage>(`messages/${loaded.id}/`, { content, is_bot: is_bot === "Bot", version }),
    said: ({ id }) => `Message ${id} was changed.`,
    list: "/messages/",
  });
  const { row: message, form, errors, set } = editing;
  const [asking, setAsking] = useState(false);
  const editable = can("chat.change_message");
  const erase = () => {
    setAsking(false);
    editing.remove(() => remove(`messages/${loaded.id}/`), `Message ${loaded.id} was deleted.`);
  };

  return (
    <SaveForm label="Message" onSave={editing.save}>
      <Restored draft={editing.draft} discard={editing.discard} />
      {editable ? (
        <>
          <Field
            label="Content"
            name="content"
            rows={10}
            value={form.content}
            errors={errors}
            onInput={(content) => set({ content })}
          />
          <Check
            label="Is bot"
            name="is_bot"
            checked={form.is_bot === "Bot"}
            onChange={(is_bot) => set({ is_bot: is_bot ? "Bot" : "Visitor" })}
          />
        </>
      ) : (
        <>
          <Shown label="Content">
            <div class="text" dir="auto">
              {withDirectionsShown(form.content)}
            </div>
          </Shown>
          <Shown label="Is bot">
            <Yes is={form.is_bot === "Bot"} />
          </Shown>
        </>
      )}
      <Shown label="Session">
        {can("chat.view_chatsession") ? (
          <a href={href(`${sessionPath(message.session_id)}conversation/`)}>
            <Said text={message.session_id} />
          </a>
        ) : (
          <Said text={message.session_id} />
        )}
      </Shown>
      <Shown label="Created">
        <Time at={message.created_at} />
      </Shown>
      <div class="buttons">
        {editable && <SaveButtons busy={editing.busy} />}
        {can("chat.delete_message") && (
          <button type="button" class="danger end" onClick={() => setAsking(true)}>
            Delete
          </button>
        )}
      </div>
      {asking && (
        <Confirm
          title="Delete this message?"
          action="Yes, delete it"
          busy={editing.busy}
          onClose={() => setAsking(false)}
          onConfirm={erase}
        >
          <p>
            It goes for good
            {message.is_bot
              ? "; the question that it answers stays."
              : ", with what is known of its turn: status, model, tokens, times. Its answer stays."}
          </p>
        </Confirm>
      )}
      {editing.clash && (
        <Conflict
          labels={{ content: "Content", is_bot: "Written by" }}
          clash={editing.clash}
          busy={editing.busy}
        />
      )}
    </SaveForm>
  );
}

export function AddMessage() {
  const session_id = useUrl().query.get("session_id") ?? "";
  const empty = { session_id, content: "", is_bot: false };
  const draft = useDraft("add message", empty);
  const submit = useSubmit();
  const { values } = draft;
  return (
    <Page
      title="Add message"
      crumbs={[{ text: "Messages", to: "/messages/" }, { text: "Add message" }]}
    >
      <SaveForm
        label="New message"
        onSave={(stay) =>
          void submit.run(async () => {
            const made = await post<FullMessage>("messages/", values);
            draft.reset(empty);
            const text = `Message ${made.id} was added.`;
            navigateWith(stay ? `/messages/${made.id}/` : "/messages/", "success", text);
          })
        }
      >
        <Restored draft={draft} discard={() => draft.reset(empty)} />
        <SessionPicker
          value={values.session_id}
          errors={submit.errors}
          onPick={(picked: FullSession | { session_id: string }) =>
            draft.set({ session_id: picked.session_id })
          }
        />
        <Field
          label="Content"
          name="content"
          rows={8}
          value={values.content}
          errors={submit.errors}
          onInput={(content) => draft.set({ content })}
        />
        <Check
          label="Is bot"
          name="is_bot"
          help="Written by the assistant, not by the visitor."
          checked={values.is_bot}
          onChange={(is_bot) => draft.set({ is_bot })}
        />
        <div class="buttons">
          <SaveButtons busy={submit.busy} />
          <button type="button" class="end" onClick={() => navigate(lastSeen("/messages/"))}>
            Cancel
          </button>
        </div>
      </SaveForm>
    </Page>
  );
}
