import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { counted, withDirectionsShown } from "../../../shared/format.ts";
import { ApiError, can, get, patch, post, remove } from "../api/client.ts";
import type { AuditEntry, Consent, Details, FullSession } from "../api/types.ts";
import { flash, navigateWith } from "../messages.ts";
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
import { Conflict } from "../ui/conflict.tsx";
import { type Loaded, useData } from "../ui/data.ts";
import { draftBase, Field, Restored, Shown, useDraft, useSubmit } from "../ui/form.tsx";
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

interface Clash {
  mine: Form;
  theirs: FullSession;
}

function ChangeForm({ session: loaded }: { session: FullSession }) {
  const key = `session ${loaded.session_id}`;
  // What the form was filled from; a draft goes on from what it was begun with, so that what others
  // saved meanwhile is told.
  const [session, setSession] = useState(() => draftBase<FullSession & Form>(key) ?? loaded);
  const draft = useDraft<FullSession & Form>(key, { ...session, ...formOf(session) });
  const submit = useSubmit();
  const [clash, setClash] = useState<Clash | null>(null);
  const [asking, setAsking] = useState(false);
  const editable = can("chat.change_chatsession");
  const path = `sessions/${encodeURIComponent(loaded.session_id)}/`;

  const take = (now: FullSession) => {
    setSession(now);
    draft.reset({ ...now, ...formOf(now) });
  };

  const save = (form: Form, base: FullSession, stay: boolean) =>
    submit.run(async () => {
      try {
        const saved = await patch<FullSession>(path, {
          ...changesOf(form, base),
          version: base.version,
        });
        setClash(null);
        take(saved);
        const text = `The session of ${titleOf(saved, saved.session_id)} was changed.`;
        if (stay) flash("success", `${text} You may edit it again below.`);
        else navigateWith("/sessions/", "success", text);
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== "changed") {
          setClash(null);
          throw error;
        }
        setClash({ mine: form, theirs: error.body["current"] as FullSession });
      }
    });

  const erase = () =>
    submit.run(async () => {
      setAsking(false);
      await remove(path);
      draft.reset(draft.values);
      navigateWith(
        "/sessions/",
        "success",
        `The session of ${titleOf(session, session.session_id)} was deleted, with ${counted(session.message_count, "message")}.`,
      );
    });

  const form: Form = formOf(draft.values);
  return (
    <form
      class="form"
      aria-label="Session"
      onSubmit={(event) => {
        event.preventDefault();
        void save(form, session, event.submitter?.getAttribute("name") === "continue");
      }}
    >
      <Restored draft={draft} discard={() => take(loaded)} />
      {editable ? (
        <>
          <Field
            label="Name"
            name="user_name"
            value={form.user_name}
            errors={submit.errors}
            onInput={(user_name) => draft.set({ user_name })}
          />
          <Field
            label="E-mail"
            name="user_email"
            value={form.user_email}
            errors={submit.errors}
            onInput={(user_email) => draft.set({ user_email })}
          />
          <Field
            label="Phone"
            name="user_phone"
            type="tel"
            value={form.user_phone}
            errors={submit.errors}
            onInput={(user_phone) => draft.set({ user_phone })}
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
        {editable && (
          <>
            <button type="submit" name="save" class="primary" disabled={submit.busy}>
              Save
            </button>
            <button type="submit" name="continue" disabled={submit.busy}>
              Save and continue editing
            </button>
          </>
        )}
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
          busy={submit.busy}
          onConfirm={() => void erase()}
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
      {clash && (
        <Conflict
          labels={form_labels}
          mine={clash.mine}
          theirs={formOf(clash.theirs)}
          base={formOf(session)}
          busy={submit.busy}
          onSave={(form) => void save(form, clash.theirs, true)}
          onKeep={(form) => {
            setSession(clash.theirs);
            draft.reset({ ...clash.theirs, ...formOf(clash.theirs) });
            draft.set(form);
            setClash(null);
          }}
          onDiscard={() => {
            take(clash.theirs);
            setClash(null);
            flash(
              "warning",
              "Your changes were discarded. The form shows what was saved by somebody else.",
            );
          }}
        />
      )}
    </form>
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
      <form
        class="form"
        aria-label="New session"
        onSubmit={(event) => {
          event.preventDefault();
          const button = event.submitter?.getAttribute("name");
          void submit.run(async () => {
            const made = await post<FullSession>("sessions/", changesOf(draft.values, null));
            draft.reset(empty);
            const text = `The session of ${titleOf(made, made.session_id)} was added.`;
            if (button === "continue") navigateWith(sessionPath(made.session_id), "success", text);
            else navigateWith("/sessions/", "success", text);
          });
        }}
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
          <button type="submit" name="save" class="primary" disabled={submit.busy}>
            Save
          </button>
          <button type="submit" name="continue" disabled={submit.busy}>
            Save and continue editing
          </button>
          <button type="button" class="end" onClick={() => navigate(lastSeen("/sessions/"))}>
            Cancel
          </button>
        </div>
      </form>
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
