import { useState } from "preact/hooks";
import { can, type FieldErrors, get } from "../api/client.ts";
import type { List, Session } from "../api/types.ts";
import { Said, Time } from "./basics.tsx";
import { useData } from "./data.ts";
import { Field } from "./form.tsx";

const most_offered = 8;

interface SessionPickerProps {
  value: string;
  errors: FieldErrors;
  onPick: (session: { session_id: string }) => void;
}

// Picks a session by searching for it. Who may not view sessions types its id.
export function SessionPicker({ value, errors, onPick }: SessionPickerProps) {
  const [text, setText] = useState("");
  const search = text.trim();
  const searching = can("chat.view_chatsession") && search.length > 0;
  const found = useData(searching ? `pick ${search}` : "", async (signal) =>
    searching
      ? (await get<List<Session>>("sessions/", { q: search, limit: most_offered }, signal)).results
      : [],
  );
  if (!can("chat.view_chatsession")) {
    return (
      <Field
        label="Session id"
        name="session_id"
        value={value}
        errors={errors}
        onInput={(session_id) => onPick({ session_id })}
      />
    );
  }
  const wrong = errors["session_id"] ?? [];
  return (
    <div class={wrong.length > 0 ? "field wrong" : "field"}>
      <label for="pick">Session</label>
      <div class="picker">
        {value && (
          <p class="picked">
            <code>
              <Said text={value} />
            </code>{" "}
            <button type="button" class="link" onClick={() => onPick({ session_id: "" })}>
              Choose another
            </button>
          </p>
        )}
        <input
          id="pick"
          type="search"
          value={text}
          hidden={value !== ""}
          placeholder="Search by id, name, e-mail, phone"
          autocomplete="off"
          dir="auto"
          aria-invalid={wrong.length > 0}
          aria-describedby={wrong.length > 0 ? "session_id-errors" : undefined}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            // The form is not what Enter is for here.
            if (event.key === "Enter") event.preventDefault();
          }}
        />
        {!value && searching && (
          <ul class="offers" aria-label="Sessions found" aria-busy={found.loading}>
            {(found.data ?? []).map((session) => (
              <li key={session.session_id}>
                <button
                  type="button"
                  onClick={() => {
                    onPick(session);
                    setText("");
                  }}
                >
                  <strong>
                    <Said text={session.user_name || session.user_email || "No name"} />
                  </strong>{" "}
                  {session.user_email && <Said text={session.user_email} />}{" "}
                  <code>{session.session_id}</code> <Time at={session.updated_at} />
                </button>
              </li>
            ))}
            {found.data?.length === 0 && !found.loading && <li class="none">No session found.</li>}
          </ul>
        )}
        {wrong.length > 0 && (
          <ul class="errors" id="session_id-errors">
            {wrong.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
