import { EventParser, type ServerEvent } from "twinchat-client/events.ts";
import type { Entry } from "./document.ts";

export interface Request {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string | null;
}

// What a call has brought so far.
export interface Outcome {
  status: number;
  headers: [string, string][];
  text: string;
  events: ServerEvent[] | null; // of a stream
  ended: boolean;
}

const longestText = 200_000;

// What the fields of the form make of the operation. Empty ones are left out.
export function requestOf(
  { method, path, operation }: Entry,
  values: Record<string, string>,
  body: string,
  token: string,
): Request {
  const headers: Record<string, string> = {};
  const query = new URLSearchParams();
  let place = path;
  for (const [key, value] of Object.entries(values)) {
    const [kind, name = ""] = key.split(/:(.*)/s);
    if (kind === "path") place = place.replace(`{${name}}`, encodeURIComponent(value));
    if (value === "") continue;
    if (kind === "query") query.set(name, value);
    if (kind === "header") headers[name] = value;
  }
  const text = query.toString();
  const takes_body = operation.requestBody !== undefined && body.trim() !== "";
  if (takes_body) headers["Content-Type"] = "application/json";
  if (token && operation.security.some((one) => "token" in one)) {
    headers["Authorization"] = `Bearer ${token}`;
  }
  return { url: place + (text && `?${text}`), method, headers, body: takes_body ? body : null };
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

export function curlOf({ url, method, headers, body }: Request): string {
  const words = ["curl", ...(method === "GET" ? [] : ["-X", method]), quoted(location.origin + url)];
  for (const [name, value] of Object.entries(headers)) {
    const shown = name === "Authorization" ? "Bearer $TOKEN" : value;
    words.push("-H", name === "Authorization" ? `"${name}: ${shown}"` : quoted(`${name}: ${shown}`));
  }
  if (body !== null) words.push("-d", quoted(body));
  return words.join(" ");
}

// What a log-in's cookie needs beside it for everything but GET.
async function csrfToken(): Promise<string | null> {
  const response = await fetch("/api/admin/me/");
  const { csrf_token } = (await response.json()) as { csrf_token: string | null };
  return csrf_token;
}

// Sends it and tells what comes, as it comes. Throws what fetch throws.
export async function send(
  { url, method, headers, body }: Request,
  { operation }: Entry,
  signal: AbortSignal,
  tell: (outcome: Outcome) => void,
): Promise<Outcome> {
  const fields = { ...headers };
  if (operation.security.some((one) => "csrf" in one) && !("Authorization" in fields)) {
    const token = await csrfToken();
    if (token) fields["X-CSRFToken"] = token;
  }
  const response = await fetch(url, { method, headers: fields, body, signal, redirect: "error" });
  const outcome: Outcome = {
    status: response.status,
    headers: [...response.headers],
    text: "",
    events: null,
    ended: false,
  };
  const is_stream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  const events: ServerEvent[] = [];
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (;;) {
    const read = await reader?.read();
    const piece = read?.value ? decoder.decode(read.value, { stream: true }) : "";
    if (is_stream) events.push(...parser.add(piece));
    else if (outcome.text.length < longestText) outcome.text += piece;
    outcome.ended = read?.done ?? true;
    const now = { ...outcome, events: is_stream ? [...events] : null };
    tell(now);
    if (outcome.ended) return now;
  }
}
