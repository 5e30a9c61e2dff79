import { useEffect, useState } from "preact/hooks";
import { useStore } from "../../shared/store.ts";
import { type Answer, type Document, entriesOf, type Entry, resolve } from "./document.ts";
import { Prose } from "./prose.tsx";
import { SchemaParts } from "./schema.tsx";
import { token, TryIt } from "./try.tsx";

export function App() {
  const [document, setDocument] = useState<Document | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    fetch("/api/openapi.json")
      .then(async (response) => {
        if (!response.ok) throw new Error(`status ${response.status}`);
        setDocument((await response.json()) as Document);
      })
      .catch((error) => setProblem(`The document cannot be read: ${String(error)}`));
  }, []);
  if (problem) return <main class="problem">{problem}</main>;
  return document ? <Page document={document} /> : <main aria-busy="true">Loading…</main>;
}

function matches({ method, path, operation }: Entry, words: string): boolean {
  const text = `${method} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function Page({ document }: { document: Document }) {
  const [words, setWords] = useState("");
  const bearer = useStore(token);
  const entries = entriesOf(document).filter((entry) => matches(entry, words));
  return (
    <main>
      <h1>
        {document.info.title} <small>{document.info.version}</small>
      </h1>
      <p>
        <a href="/api/openapi.json">openapi.json</a>
      </p>
      <Prose text={document.info.description} />
      <div class="settings">
        <label>
          Find
          <input type="search" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        </label>
        <label>
          Token, for the admin's routes; without one a log-in of this browser counts
          <input
            type="password"
            autocomplete="off"
            value={bearer}
            onInput={(event) => token.set(event.currentTarget.value.trim())}
          />
        </label>
      </div>
      {document.tags.map(({ name, description }) => {
        const mine = entries.filter(({ operation }) => operation.tags.includes(name));
        if (mine.length === 0) return null;
        return (
          <section key={name} aria-labelledby={`tag-${name}`}>
            <h2 id={`tag-${name}`}>{name}</h2>
            <Prose text={description} />
            {mine.map((entry) => (
              <Described key={entry.operation.operationId} document={document} entry={entry} />
            ))}
          </section>
        );
      })}
      {entries.length === 0 && <p>Nothing has these words.</p>}
    </main>
  );
}

// One operation; what is in it is made when it is opened.
function Described({ document, entry }: { document: Document; entry: Entry }) {
  const { method, path, server, operation } = entry;
  const id = operation.operationId;
  const [open, setOpen] = useState(location.hash === `#${id}`);
  return (
    <details
      class="operation"
      id={id}
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>
        <span class={`method ${method.toLowerCase()}`}>{method}</span> <code>{server + path}</code>{" "}
        <span class="summary">{operation.summary}</span>
      </summary>
      {open && <Opened document={document} entry={entry} />}
    </details>
  );
}

function Opened({ document, entry }: { document: Document; entry: Entry }) {
  const { server, operation } = entry;
  const permissions = operation["x-permissions"];
  const body = operation.requestBody?.content["application/json"]?.schema;
  return (
    <div class="opened">
      <p>
        <a href={`#${operation.operationId}`}>
          <code>{operation.operationId}</code>
        </a>
      </p>
      {operation.description && <Prose text={operation.description} />}
      {permissions && <p>Needs: {permissions.join(", ")}.</p>}
      {operation.parameters && (
        <>
          <h3>Parameters</h3>
          <ul class="schema">
            {operation.parameters.map((given) => {
              const one = resolve(document, given);
              return (
                <li key={one.in + one.name}>
                  <code>{one.name}</code> <small>{one.in}</small>
                  {one.required && <small class="required"> required</small>}
                  {one.description && <Prose text={one.description} />}
                </li>
              );
            })}
          </ul>
        </>
      )}
      {body && (
        <>
          <h3>Body</h3>
          <SchemaParts document={document} schema={body} />
        </>
      )}
      <h3>Answers</h3>
      {Object.entries(operation.responses).map(([status, answer]) => (
        <Answers key={status} document={document} status={status} answer={answer} />
      ))}
      {server === "" && (
        <>
          <h3>Try it</h3>
          <TryIt document={document} entry={entry} />
        </>
      )}
    </div>
  );
}

function Answers(props: { document: Document; status: string; answer: Answer }) {
  const { document, status, answer: given } = props;
  const answer = resolve(document, given);
  return (
    <details class="answer">
      <summary>
        <strong>{status}</strong> {answer.description}
      </summary>
      {Object.entries(answer.headers ?? {}).map(([name, header]) => (
        <p key={name}>
          <code>{name}</code> <small>{resolve(document, header).description}</small>
        </p>
      ))}
      {Object.entries(answer.content ?? {}).map(([type, { schema, example }]) => (
        <div key={type}>
          <p>
            <small>{type}</small>
          </p>
          {schema && <SchemaParts document={document} schema={schema} />}
          {example !== undefined && <pre tabIndex={0}>{JSON.stringify(example, null, 2)}</pre>}
        </div>
      ))}
    </details>
  );
}
