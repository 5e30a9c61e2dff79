import { useEffect, useState } from "preact/hooks";
import { counted } from "../../../shared/format.ts";
import { get, post, send } from "../api/client.ts";
import { fileName, saveFile } from "../download.ts";
import { flash } from "../messages.ts";
import { href, useUrl } from "../router.ts";
import { Confirm, Page, Said } from "../ui/basics.tsx";
import { useSubmit } from "../ui/form.tsx";
import { may_delete_sessions, sessionPath } from "./sessions.tsx";
import type { FullSession } from "../api/types.ts";

type By = "email" | "phone" | "session_id";

const words: Record<By, string> = {
  email: "E-mail address",
  phone: "Phone number",
  session_id: "Session id",
};

interface Preview {
  by: By;
  value: string;
  sessions: number;
  messages: number;
  session_ids: string[];
}

// One person's data: what there is, a file to hand out, and its end. What the person is named by stays
// out of the page's address, but for a session's id.
export function Person() {
  const asked = useUrl().query.get("session_id") ?? "";
  const [by, setBy] = useState<By>(asked ? "session_id" : "email");
  const [value, setValue] = useState(asked);
  const [found, setFound] = useState<Preview | null>(null);
  const [asking, setAsking] = useState(false);
  const submit = useSubmit();

  const look = (by: By, value: string) =>
    submit.run(async () => {
      setFound(null);
      const preview = await post<Omit<Preview, "by" | "value">>("person/preview/", { [by]: value });
      setFound({ ...preview, by, value });
    });

  // From a session: by what the person left there, when there is something.
  useEffect(() => {
    if (!asked) return;
    void submit.run(async () => {
      const session = await get<FullSession>(`sessions/${encodeURIComponent(asked)}/`);
      const [its_by, its_value]: [By, string] = session.user_email
        ? ["email", session.user_email]
        : session.user_phone
          ? ["phone", session.user_phone]
          : ["session_id", asked];
      setBy(its_by);
      setValue(its_value);
      const preview = await post<Omit<Preview, "by" | "value">>("person/preview/", {
        [its_by]: its_value,
      });
      setFound({ ...preview, by: its_by, value: its_value });
    });
  }, [asked]);

  const hand_out = () =>
    submit.run(async () => {
      if (!found) return;
      const response = await send("GET", "person/", { query: { [found.by]: found.value } });
      saveFile(await response.blob(), fileName(response, "person.json"));
      flash("success", `Exported ${counted(found.sessions, "session")} of this person.`);
    });

  const erase = () =>
    submit.run(async () => {
      if (!found) return;
      setAsking(false);
      const { deleted } = await post<{ deleted: { sessions: number; messages: number } }>(
        "person/erase/",
        { [found.by]: found.value },
      );
      setFound(null);
      setValue("");
      flash(
        "success",
        `Erased for good: ${counted(deleted.sessions, "session")} and ${counted(deleted.messages, "message")}.`,
      );
    });

  const wrong = submit.errors[by] ?? [];
  return (
    <Page title="One person's data" crumbs={[{ text: "One person's data" }]}>
      <form
        class="form"
        aria-label="Find a person"
        onSubmit={(event) => {
          event.preventDefault();
          void look(by, value.trim());
        }}
      >
        <fieldset>
          <legend>Find by</legend>
          {(Object.keys(words) as By[]).map((kind) => (
            <label key={kind} class="radio">
              <input
                type="radio"
                name="by"
                checked={kind === by}
                onChange={() => {
                  setBy(kind);
                  setFound(null);
                }}
              />
              {words[kind]}
            </label>
          ))}
        </fieldset>
        <div class={wrong.length > 0 ? "field wrong" : "field"}>
          <label for="person">{words[by]}</label>
          <div>
            <input
              id="person"
              value={value}
              dir="auto"
              required
              autocomplete="off"
              aria-invalid={wrong.length > 0}
              onInput={(event) => {
                setValue(event.currentTarget.value);
                setFound(null);
              }}
            />
            {wrong.map((text) => (
              <p key={text} class="errors">
                {text}
              </p>
            ))}
          </div>
        </div>
        <div class="buttons">
          <button type="submit" class="primary" disabled={submit.busy || value.trim() === ""}>
            Find
          </button>
        </div>
      </form>
      {found && (
        <section class="person" aria-label="What was found">
          <h2>
            {found.sessions === 0
              ? "Nothing is kept of this person."
              : `${counted(found.sessions, "session")}, ${counted(found.messages, "message")}`}
          </h2>
          <ul>
            {found.session_ids.map((session_id) => (
              <li key={session_id}>
                <a href={href(sessionPath(session_id))}>
                  <Said text={session_id} />
                </a>
              </li>
            ))}
          </ul>
          {found.sessions > 0 && (
            <div class="buttons">
              <button type="button" disabled={submit.busy} onClick={() => void hand_out()}>
                Export as a file
              </button>
              {may_delete_sessions() && (
                <button
                  type="button"
                  class="danger"
                  disabled={submit.busy}
                  onClick={() => setAsking(true)}
                >
                  Erase everywhere
                </button>
              )}
            </div>
          )}
        </section>
      )}
      {asking && found && (
        <Confirm
          title="Erase this person everywhere?"
          action={`Erase ${counted(found.sessions, "session")} and ${counted(found.messages, "message")}`}
          busy={submit.busy}
          onConfirm={() => void erase()}
          onClose={() => setAsking(false)}
        >
          <p>
            Everything of <Said text={found.value} /> goes, for good: sessions, messages, turns, the
            search index, and the database's log. The audit log keeps that somebody was erased, not
            who it was.
          </p>
          <p>Copies that were made before, backups and exports, are not reached from here.</p>
        </Confirm>
      )}
    </Page>
  );
}
