import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { counted, withDirectionsShown } from "../../../shared/format.ts";
import { can, get, patch, post, remove } from "../api/client.ts";
import type { AuditEntry, Consent, Details, FullSession } from "../api/types.ts";
import { navigateWith } from "../messages.ts";
import { href, lastSeen, navigate, useUrl } from "../router.ts";
import { AuditTable } from "../ui/audit.tsx";
import {
  ButtonLink,
  Confirm,
  Failure,
  Loading,
  LoadedPart,
  Nothing,
  Page,
  Said,
  Time,
  TimeOr,
} from "../ui/basics.tsx";
import { type Loaded, useData } from "../ui/data.ts";
import { Conflict, useEditing } from "../ui/editing.tsx";
import { Field, Restored, SaveButtons, SaveForm, Shown, useDraft, useSubmit } from "../ui/form.tsx";
import { may_delete_sessions, sessionPath } from "./sessions.tsx";

type Form = { user_name: string; user_email: string; user_phone: string };

const form_labels: Record<keyof Form, string> = {
  user_name: "Name",
  user_email: "E-mail",
  user_phone: "Phone",
};

const formOf = (session: Details): Form => ({
  user_name: session.user_name ?? "",
  user_email: session.user_email ?? "",
  user_phone: session.user_phone ?? "",
});

// An empty field clears, unless it was empty text before: then it is left as it is.
function changesOf(form: Form, session: Details | null): Partial<Details> {
  const changes: Partial<Details> = {};
  for (const name of Object.keys(form) as (keyof Form)[]) {
    if (form[name] !== (session?.[name] ?? ""))
      changes[name] = form[name] === "" ? null : form[name];
  }
  return changes;
}

const titleOf = (session: FullSession | null, session_id: string) =>
  session?.user_name || session?.user_email || session_id;

interface FrameProps {
  session_id: string;
  session: Loaded<FullSession>;
  tab: "details" | "conversation" | "history";
  wide?: boolean;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

// What the pages of one session have in common.
export function SessionFrame({ session_id, session, tab, actions, children }: FrameProps) {
  const path = sessionPath(session_id);
  const title = titleOf(session.data, session_id);
  const tabs = [
    { id: "details", text: "Details", to: path },
    ...(can("chat.view_message")
      ? [{ id: "conversation", text: "Conversation", to: `${path}conversation/` }]
      : []),
    { id: "history", text: "History", to: `${path}history/` },
  ];
  const name = tabs.find(({ id }) => id === tab)?.text ?? "";
  return (
    <Page
      title={title}
      crumbs={[
        { text: "Chat sessions", to: "/sessions/" },
        tab === "details" ? { text: title } : { text: title, to: path },
        ...(tab === "details" ? [] : [{ text: name }]),
      ]}
      actions={actions}
    >
      <nav class="tabs" aria-label="This session">
        {tabs.map(({ id, text, to }) => (
          <a key={id} href={href(to)} aria-current={id === tab ? "page" : undefined}>
            {text}
          </a>
        ))}
      </nav>
      {session.error ? <Failure error={session.error} retry={session.reload} /> : children}
    </Page>
  );
}

export const useSession = (session_id: string) =>
  useData(`session ${session_id}`, (signal) =>
    get<FullSession>(`sessions/${encodeURIComponent(session_id)}/`, {}, signal),
  );

export function SessionDetails({ session_id }: { session_id: string }) {
  const session = useSession(session_id);
  return (
    <SessionFrame session_id={session_id} session={session} tab="details">
      {session.data ? <ChangeForm session={session.data} /> : <Loading />}
      {session.data?.consents && <Consents consents={session.data.consents} />}
    </SessionFrame>
  );
}

// What `lang` can be set to.
const language_tag = (name: string) =>
  /^[a-z]{2,3}(-[A-Za-z0-9]+)*$/.test(name) ? name : undefined;

function Consents({ consents }: { consents: Consent[] }) {
  return (
    <section class="consents">
      <h2>Consents</h2>
      {consents.length === 0 && <p class="empty">None was given.</p>}
      {consents.map((consent, at) => (
        <article key={at} class="form" aria-label={`Consent ${at + 1}`}>
          <Shown label="Version">
            <Said text={consent.version} />{" "}
            <span class={`badge ${consent.withdrawn_at ? "warn" : "good"}`}>
              {consent.withdrawn_at ? "withdrawn" : "stands"}
            </span>
          </Shown>
          <Shown label="Language">
            {consent.language ? <Said text={consent.language} /> : <Nothing />}
          </Shown>
          <Shown label="Given">
            <Time at={consent.given_at} />
          </Shown>
          <Shown label="Withdrawn">
            <TimeOr at={consent.withdrawn_at} none="no" />
          </Shown>
          <Shown label="Words">
            <div class="text" dir="auto" lang={language_tag(consent.language)}>
              {withDirectionsShown(consent.text)}
            </div>
          </Shown>
        </article>
      ))}
    </section>
  );
}

function ChangeForm({ session: loaded }: { session: FullSession }) {
  const path = `sessions/${encodeURIComponent(loaded.session_id)}/`;
  const titled = (session: FullSession) => `The session of ${titleOf(session, session.session_id)}`;
  const editing = useEditing<FullSession, Form>({
    key: `session ${loaded.session_id}`,
    loaded,
    formOf,
    send: (form, base) =>
      patch<FullSession>(path, { ...changesOf(form, base), version: base.version }),
    said: (saved) => `${titled(saved)} was changed.`,
    list: "/sessions/",
  });
  const { row: session, form, errors, set } = editing;
  const [asking, setAsking] = useState(false);
  const editable = can("chat.change_chatsession");
  const erase = () => {
    setAsking(false);
    const messages = counted(session.message_count, "message");
    editing.remove(() => remove(path), `${titled(session)} was deleted, with ${messages}.`);
  };

  return (
    <SaveForm label="Session" onSave={editing.save}>
      <Restored draft={editing.draft} discard={editing.discard} />
      {editable ? (
        <>
          <Field
            label="Name"
            name="user_name"
            value={form.user_name}
            errors={errors}
            onInput={(user_name) => set({ user_name })}
          />
          <Field
            label="E-mail"
            name="user_email"
            value={form.user_email}
            errors={errors}
            onInput={(user_email) => set({ user_email })}
          />
          <Field
            label="Phone"
            name="user_phone"
            type="tel"
            value={form.user_phone}
            errors={errors}
            onInput={(user_phone) => set({ user_phone })}
          />
        </>
      ) : (
        (Object.keys(form_labels) as (keyof Form)[]).map((name) => (
          <Shown key={name} label={form_labels[name]}>
            {form[name] ? <Said text={form[name]} /> : <Nothing />}
          </Shown>
        ))
      )}
      <Shown label="Session id">
        <code>
          <Said text={session.session_id} />
        </code>
      </Shown>
      <Shown label="Created">
        <Time at={session.created_at} />
      </Shown>
      <Shown label="Updated">
        <Time at={session.updated_at} />
      </Shown>
      <Shown label="Messages">
        {can("chat.view_message") ? (
          <a href={href(`/messages/?session_id=${encodeURIComponent(session.session_id)}`)}>
            {counted(session.message_count, "message")}
          </a>
        ) : (
          counted(session.message_count, "message")
        )}
      </Shown>
      <div class="buttons">
        {editable && <SaveButtons busy={editing.busy} />}
        {can("chat.view_message") && may_delete_sessions() && (
          <ButtonLink to={`/person/?session_id=${encodeURIComponent(session.session_id)}`}>
            This person's data
          </ButtonLink>
        )}
        {may_delete_sessions() && (
          <button type="button" class="danger end" onClick={() => setAsking(true)}>
            Delete
          </button>
        )}
      </div>
      {asking && (
        <Confirm
          title="Delete this session?"
          action="Yes, delete it"
          busy={editing.busy}
          onConfirm={erase}
          onClose={() => setAsking(false)}
        >
          <p>
            With the session of <Said text={titleOf(session, session.session_id)} /> go, for good:
          </p>
          <ul>
            <li>{counted(session.message_count, "message")}, questions and answers</li>
            <li>what is known of each turn: status, model, tokens, times, feedback</li>
            <li>what the visitor agreed to</li>
          </ul>
        </Confirm>
      )}
      {editing.clash && <Conflict labels={form_labels} clash={editing.clash} busy={editing.busy} />}
    </SaveForm>
  );
}

export function AddSession() {
  const empty: Form = { user_name: "", user_email: "", user_phone: "" };
  const draft = useDraft("add session", empty);
  const submit = useSubmit();
  return (
    <Page
      title="Add session"
      crumbs={[{ text: "Chat sessions", to: "/sessions/" }, { text: "Add session" }]}
    >
      <SaveForm
        label="New session"
        onSave={(stay) =>
          void submit.run(async () => {
            const made = await post<FullSession>("sessions/", changesOf(draft.values, null));
            draft.reset(empty);
            const text = `The session of ${titleOf(made, made.session_id)} was added.`;
            navigateWith(stay ? sessionPath(made.session_id) : "/sessions/", "success", text);
          })
        }
      >
        <Restored draft={draft} discard={() => draft.reset(empty)} />
        <p class="help">All fields are optional. The server makes the session's id.</p>
        <Field
          label="Name"
          name="user_name"
          value={draft.values.user_name}
          errors={submit.errors}
          onInput={(user_name) => draft.set({ user_name })}
        />
        <Field
          label="E-mail"
          name="user_email"
          value={draft.values.user_email}
          errors={submit.errors}
          onInput={(user_email) => draft.set({ user_email })}
        />
        <Field
          label="Phone"
          name="user_phone"
          type="tel"
          value={draft.values.user_phone}
          errors={submit.errors}
          onInput={(user_phone) => draft.set({ user_phone })}
        />
        <div class="buttons">
          <SaveButtons busy={submit.busy} />
          <button type="button" class="end" onClick={() => navigate(lastSeen("/sessions/"))}>
            Cancel
          </button>
        </div>
      </SaveForm>
    </Page>
  );
}

export function SessionHistory({ session_id }: { session_id: string }) {
  const session = useSession(session_id);
  const history = useData(`history ${session_id}`, (signal) =>
    get<{ results: AuditEntry[] }>(
      `sessions/${encodeURIComponent(session_id)}/history/`,
      {},
      signal,
    ),
  );
  useUrl();
  return (
    <SessionFrame session_id={session_id} session={session} tab="history">
      <LoadedPart of={history}>
        {({ results }) =>
          results.length > 0 ? (
            <AuditTable entries={results} short />
          ) : (
            <p class="empty">Nobody has changed this session here.</p>
          )
        }
      </LoadedPart>
    </SessionFrame>
  );
}
