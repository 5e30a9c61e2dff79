import { useMemo, useRef, useState } from "preact/hooks";
import { createStore, useStore } from "../../shared/store.ts";
import { curlOf, type Outcome, requestOf, send } from "./call.ts";
import { type Document, type Entry, exampleOf, type Parameter, resolve } from "./document.ts";

// Kept for as long as the page is open, and nowhere else.
export const token = createStore("");
// The session that was made last: what the next call is probably about.
const session_id = createStore("");

const keyOf = ({ in: kind, name }: Parameter) => `${kind}:${name}`;

function firstValue(document: Document, { name, required, example, schema }: Parameter): string {
  if (name === "session_id" && required && session_id.get()) return session_id.get();
  if (!required) return "";
  const value = example ?? exampleOf(document, schema);
  return value === undefined ? "" : String(value);
}

function firstBody(document: Document, { operation }: Entry): string {
  const media = operation.requestBody?.content["application/json"];
  if (!media) return "";
  const value = media.example ?? (media.schema ? exampleOf(document, media.schema) : {});
  const known = session_id.get();
  const about_session = typeof value === "object" && value !== null && "session_id" in value;
  return JSON.stringify(about_session && known ? { ...value, session_id: known } : value, null, 2);
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Remembers what the next calls will need.
function learn({ operation }: Entry, { status, text }: Outcome): void {
  if (status !== 201 || operation.operationId !== "createSession") return;
  session_id.set((JSON.parse(text) as { session_id: string }).session_id);
}

export function TryIt({ document, entry }: { document: Document; entry: Entry }) {
  const { operation } = entry;
  const parameters = (operation.parameters ?? []).map((one) => resolve(document, one));
  const known_session = useStore(session_id);
  const bearer = useStore(token);
  const [changed, setChanged] = useState<Record<string, string>>({});
  const [edited, setEdited] = useState<string | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [problem, setProblem] = useState("");
  const [running, setRunning] = useState(false);
  const abort = useRef<AbortController | null>(null);
  const values = useMemo(
    () => ({
      ...Object.fromEntries(parameters.map((one) => [keyOf(one), firstValue(document, one)])),
      ...changed,
    }),
    [known_session, changed],
  );
  const body = edited ?? firstBody(document, entry);
  const request = requestOf(entry, values, body, bearer);
  const id = operation.operationId;

  async function run(event: Event): Promise<void> {
    event.preventDefault();
    abort.current = new AbortController();
    setRunning(true);
    setProblem("");
    setOutcome(null);
    try {
      learn(entry, await send(request, entry, abort.current.signal, setOutcome));
    } catch (error) {
      setProblem(abort.current.signal.aborted ? "Stopped." : `No answer: ${String(error)}`);
    }
    setRunning(false);
  }

  return (
    <form class="try" onSubmit={run} aria-label={`Try ${id}`}>
      {parameters.map((one) => (
        <Field
          key={keyOf(one)}
          id={`${id}-${keyOf(one)}`}
          document={document}
          parameter={one}
          value={values[keyOf(one)] ?? ""}
          onValue={(value) => setChanged({ ...changed, [keyOf(one)]: value })}
        />
      ))}
      {operation.requestBody && (
        <label>
          Body
          <textarea
            rows={Math.min(12, body.split("\n").length + 1)}
            spellcheck={false}
            value={body}
            onInput={(event) => setEdited(event.currentTarget.value)}
          />
        </label>
      )}
      <p class="buttons">
        <button class="primary" disabled={running}>
          Send
        </button>
        <button type="button" disabled={!running} onClick={() => abort.current?.abort()}>
          Stop
        </button>
      </p>
      <p>
        <code class="curl">{curlOf(request)}</code>
      </p>
      <div class="outcome" role="status" aria-busy={running}>
        {problem && <p class="problem">{problem}</p>}
        {outcome && <Answered outcome={outcome} />}
      </div>
    </form>
  );
}

function Field(props: {
  id: string;
  document: Document;
  parameter: Parameter;
  value: string;
  onValue: (value: string) => void;
}) {
  const { id, document, parameter, value, onValue } = props;
  const choices = resolve(document, parameter.schema).enum;
  return (
    <div class="field">
      <label for={id}>
        <code>{parameter.name}</code> <small>{parameter.in}</small>
        {parameter.required && <small class="required"> required</small>}
      </label>
      {choices ? (
        <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          {["", ...choices.filter((choice) => choice !== "")].map((choice) => (
            <option key={String(choice)}>{String(choice)}</option>
          ))}
        </select>
      ) : (
        <input
          id={id}
          value={value}
          required={parameter.required ?? false}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </div>
  );
}

function Answered({ outcome: { status, headers, text, events, ended } }: { outcome: Outcome }) {
  return (
    <>
      <p>
        <strong class={status < 400 ? "fine" : "problem"}>{status}</strong>
        {!ended && " so far"}
      </p>
      <details>
        <summary>Header fields</summary>
        <pre tabIndex={0}>{headers.map(([name, value]) => `${name}: ${value}`).join("\n")}</pre>
      </details>
      {events ? (
        <ol class="events">
          {events.map(({ id, event, data }, index) => (
            <li key={index}>
              <code>{event}</code> <small>{id}</small> <code>{JSON.stringify(data)}</code>
            </li>
          ))}
        </ol>
      ) : (
        text && (
          <pre tabIndex={0} aria-label="Body of the answer">
            {pretty(text)}
          </pre>
        )
      )}
    </>
  );
}
