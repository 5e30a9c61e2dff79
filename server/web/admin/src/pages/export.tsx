import { useRef, useState } from "preact/hooks";
import { counted, formatBytes, formatNumber } from "../../../shared/format.ts";
import { CsvCounter, JsonCounter } from "../../../shared/record_counter.ts";
import { ApiError, can, send } from "../api/client.ts";
import { fileName, saveFile } from "../download.ts";
import { clearMessages, flash } from "../messages.ts";
import { href, navigate, url, useUrl, withQuery } from "../router.ts";
import { Failure, Nothing, Page, Said } from "../ui/basics.tsx";
import { message_filters } from "./messages.tsx";
import { session_filters } from "./sessions.tsx";

type What = "sessions" | "leads" | "messages";

const filter_words: Record<string, string> = {
  q: "search",
  created: "created",
  created_from: "created from",
  created_to: "created to",
  updated: "updated",
  updated_from: "updated from",
  updated_to: "updated to",
  leads: "leads only",
  is_bot: "is bot",
  session_id: "session",
};

interface Progress {
  records: number;
  bytes: number;
  total: number | null;
}

export function Export() {
  const { query } = useUrl();
  const kinds: What[] = [
    ...(can("chat.view_chatsession") ? (["sessions", "leads"] as const) : []),
    ...(can("chat.view_message") ? (["messages"] as const) : []),
  ];
  const asked = query.get("what") as What;
  const what = kinds.includes(asked) ? asked : kinds[0];
  const format = query.get("format") === "json" ? "json" : "csv";
  const [progress, setProgress] = useState<Progress | null>(null);
  const abort = useRef<AbortController | null>(null);
  if (!what) return <Forbidden />;

  const names: readonly string[] = what === "messages" ? message_filters : session_filters;
  const filters = Object.fromEntries(
    names.flatMap((name) => {
      const value = query.get(name);
      return value && !(what === "leads" && name === "leads") ? [[name, value]] : [];
    }),
  );
  const list = what === "leads" ? "/leads/" : `/${what}/`;

  const run = async () => {
    clearMessages();
    const controller = new AbortController();
    abort.current = controller;
    let state: Progress = { records: 0, bytes: 0, total: null };
    setProgress(state);
    try {
      const response = await send("GET", `export/${what}/`, {
        query: { ...filters, format },
        signal: controller.signal,
      });
      const said = response.headers.get("X-Total-Count");
      state = { ...state, total: said ? Number(said) : null };
      const counter = format === "csv" ? new CsvCounter() : new JsonCounter();
      const parts: Uint8Array<ArrayBuffer>[] = [];
      const reader = response.body?.getReader();
      for (;;) {
        const piece = await reader?.read();
        if (!piece || piece.done) break;
        parts.push(piece.value);
        counter.add(piece.value);
        state = { ...state, records: counter.count, bytes: state.bytes + piece.value.length };
        setProgress(state);
      }
      const type = response.headers.get("Content-Type") ?? "application/octet-stream";
      saveFile(new Blob(parts, { type }), fileName(response, `${what}.${format}`));
      flash(
        "success",
        `Exported ${counted(counter.count, what.slice(0, -1))} (${formatBytes(state.bytes)}).`,
      );
    } catch (error) {
      if (controller.signal.aborted) flash("warning", "The export was stopped. No file was saved.");
      else if (error instanceof ApiError) flash("error", error.message);
      else flash("error", "The export broke off before its end. No file was saved.");
    } finally {
      setProgress(null);
      abort.current = null;
    }
  };

  return (
    <Page title="Export" crumbs={[{ text: "Export" }]}>
      <form
        class="form"
        aria-label="Export"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <fieldset disabled={progress !== null}>
          <legend>What</legend>
          {kinds.map((kind) => (
            <label key={kind} class="radio">
              <input
                type="radio"
                name="what"
                checked={kind === what}
                onChange={() => navigate(`${url.get().path}?what=${kind}&format=${format}`)}
              />
              {{ sessions: "Sessions", leads: "Leads", messages: "Messages" }[kind]}
            </label>
          ))}
        </fieldset>
        <fieldset disabled={progress !== null}>
          <legend>As</legend>
          {(["csv", "json"] as const).map((kind) => (
            <label key={kind} class="radio">
              <input
                type="radio"
                name="format"
                checked={kind === format}
                onChange={() => navigate(withQuery({ format: kind }), { replace: true })}
              />
              {kind === "csv" ? "CSV, for spreadsheets" : "JSON, for programs"}
            </label>
          ))}
        </fieldset>
        <div class="field shown">
          <span class="label">Only what matches</span>
          <div>
            {Object.keys(filters).length === 0 && <Nothing>no filter: everything</Nothing>}
            <ul class="chips">
              {Object.entries(filters).map(([name, value]) => (
                <li key={name} class="chip">
                  {filter_words[name] ?? name}: <Said text={value} />{" "}
                  <a
                    href={href(withQuery({ [name]: null }))}
                    aria-label={`Without the filter ${filter_words[name] ?? name}`}
                  >
                    ×
                  </a>
                </li>
              ))}
            </ul>
            <p class="help">
              Filter the <a href={href(list)}>list</a> and choose <em>Export these</em> there.
            </p>
          </div>
        </div>
        <div class="buttons">
          <button type="submit" class="primary" disabled={progress !== null}>
            Export
          </button>
          {progress && (
            <button type="button" onClick={() => abort.current?.abort()}>
              Stop
            </button>
          )}
        </div>
        {progress && (
          <div class="progress" role="status">
            {progress.total ? (
              <progress
                value={progress.records}
                max={Math.max(progress.total, 1)}
                aria-label="Progress of the export"
              />
            ) : (
              <progress aria-label="Progress of the export" />
            )}
            <span>
              {formatNumber(progress.records)}
              {progress.total !== null && ` of ${formatNumber(progress.total)}`} {what},{" "}
              {formatBytes(progress.bytes)}
            </span>
          </div>
        )}
        <p class="help">
          Whatever is exported is noted in the audit log. In CSV, text that a spreadsheet would take
          for a formula has an apostrophe in front.
        </p>
      </form>
    </Page>
  );
}

const Forbidden = () => (
  <Page title="Export">
    <Failure
      error={
        new ApiError(403, { detail: "You do not have permission to perform this action." }, null)
      }
    />
  </Page>
);
