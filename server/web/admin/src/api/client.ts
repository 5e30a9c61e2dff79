import { createStore } from "../../../shared/store.ts";
import type { LogIn, Permission } from "./types.ts";

export type FieldErrors = Record<string, string[]>;

// An answer that is not a success, or none at all (status 0).
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: Record<string, unknown>,
    readonly retry_after: number | null,
  ) {
    super(describe(status, body));
  }

  // The messages at each field of a 400.
  get fields(): FieldErrors {
    const fields: FieldErrors = {};
    if (this.status !== 400) return fields;
    for (const [name, value] of Object.entries(this.body)) {
      if (Array.isArray(value)) fields[name] = value.map(String);
    }
    return fields;
  }

  get code(): unknown {
    return this.body["code"];
  }
}

function describe(status: number, body: Record<string, unknown>): string {
  const said = body["detail"] ?? body["error"];
  if (typeof said === "string") return said;
  if (status === 0) return "The server cannot be reached.";
  if (status === 400) return "Please correct the errors below.";
  return `The server answered with status ${status}.`;
}

// Who is logged in; undefined until that is known.
export const login = createStore<LogIn | undefined>(undefined);
// Set while a log-in has ended and whoever sits there has to log in again.
export const expired = createStore(false);

export function can(permission: "superuser" | Permission): boolean {
  const user = login.get()?.user;
  if (!user) return false;
  return user.is_superuser || (permission !== "superuser" && user.permissions.includes(permission));
}

export type Query = Record<string, string | number | null | undefined>;

export function queryString(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

export const apiUrl = (path: string, query: Query = {}) =>
  `/api/admin/${path}${queryString(query)}`;

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

async function fetchOnce(method: string, url: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  const token = login.get()?.csrf_token;
  if (token && method !== "GET") headers["X-CSRFToken"] = token;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
      credentials: "same-origin",
      redirect: "error",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, {}, null);
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  let body: unknown = null;
  try {
    body = await response.json();
  } catch {
    // An answer that is not ours, a proxy's for instance: the status says enough.
  }
  const after = Number(response.headers.get("Retry-After"));
  return new ApiError(
    response.status,
    typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {},
    after > 0 ? after : null,
  );
}

function loggedInAgain(signal: AbortSignal | undefined): Promise<void> {
  expired.set(true);
  return new Promise((resolve, reject) => {
    const stop = expired.subscribe(() => {
      if (expired.get()) return;
      stop();
      resolve();
    });
    signal?.addEventListener("abort", () => {
      stop();
      reject(signal.reason);
    });
  });
}

// The successful answer. ApiError otherwise; but a log-in that has ended is asked for again over the
// page, which keeps all that was typed, and the request is sent once more.
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const url = apiUrl(path, options.query);
  for (let csrf_refreshed = false; ;) {
    const response = await fetchOnce(method, url, options);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status === 401 && login.get()?.user) {
      await loggedInAgain(options.signal);
    } else if (error.status === 403 && error.code === "csrf" && !csrf_refreshed) {
      // Another tab has logged in again: its token is ours now.
      csrf_refreshed = true;
      await refreshLogIn();
    } else {
      throw error;
    }
  }
}

async function json<T>(method: string, path: string, options: Options): Promise<T> {
  const response = await send(method, path, options);
  return (response.status === 204 ? null : await response.json()) as T;
}

export const get = <T>(path: string, query: Query = {}, signal?: AbortSignal) =>
  json<T>("GET", path, { query, signal });
export const post = <T>(path: string, body: unknown = {}) => json<T>("POST", path, { body });
export const patch = <T>(path: string, body: unknown) => json<T>("PATCH", path, { body });
export const remove = (path: string) => json<null>("DELETE", path, {});

// Asks who is logged in. ApiError when the server does not say.
export async function refreshLogIn(): Promise<LogIn> {
  const response = await fetchOnce("GET", apiUrl("me/"), {});
  if (!response.ok) throw await errorOf(response);
  const now = (await response.json()) as LogIn;
  login.set(now);
  return now;
}

export async function logIn(username: string, password: string): Promise<LogIn> {
  const response = await fetchOnce("POST", apiUrl("login/"), { body: { username, password } });
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as LogIn;
}
