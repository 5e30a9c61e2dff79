import { createStore, useStore } from "../../shared/store.ts";

// Where the browser is. Everything that a page shows is named by its path and query, so that it can
// be linked to, and back and forward work.
export interface Url {
  path: string;
  query: URLSearchParams;
  // Pages of a list before this one, by their cursors.
  trail: string[];
}

const base = "/admin";

function current(): Url {
  const path = location.pathname.slice(base.length) || "/";
  const state = history.state as { trail?: unknown } | null;
  const trail = Array.isArray(state?.trail) ? state.trail.map(String) : [];
  return {
    path: path.endsWith("/") ? path : `${path}/`,
    query: new URLSearchParams(location.search),
    trail,
  };
}

export const url = createStore(current());
let navigated = false;
// Whether something else was shown before, without a new page from the server.
export const hasNavigated = () => navigated;
export const useUrl = () => useStore(url);

const leave_listeners = new Set<() => void>();

// Called when another page comes, not when only the query changes.
export function onLeave(listener: () => void): void {
  leave_listeners.add(listener);
}

// What was last seen of each path, so that the way back to a list leads to what one saw of it.
const seen = new Map<string, string>();
const note = ({ path, query }: Url) => {
  const text = query.toString();
  seen.set(path, path + (text && `?${text}`));
};
note(url.get());
export const lastSeen = (path: string) => seen.get(path) ?? path;

function show(next: Url): void {
  navigated = true;
  note(next);
  if (next.path !== url.get().path) {
    for (const listener of leave_listeners) listener();
  }
  url.set(next);
}

interface NavigateOptions {
  replace?: boolean;
  trail?: string[];
}

// Goes to a path of this page: "/sessions/?q=jane".
export function navigate(to: string, options: NavigateOptions = {}): void {
  const target = new URL(base + to, location.origin);
  const state = { trail: options.trail ?? [] };
  if (options.replace) history.replaceState(state, "", target);
  else history.pushState(state, "", target);
  show(current());
  if (!options.replace) window.scrollTo(0, 0);
}

export const href = (to: string) => base + to;

// The same page with other parameters; what is null or empty goes away. Whatever changes the list
// begins at its first page.
export function withQuery(changes: Record<string, string | null>): string {
  const { path, query } = url.get();
  const next = new URLSearchParams(query);
  next.delete("cursor");
  next.delete("page");
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  return path + (text && `?${text}`);
}

// A path that may be gone to after the log-in: one of ours.
export function safeNext(next: string | null): string {
  if (!next || !next.startsWith("/") || next.startsWith("//") || next.includes("\\")) return "/";
  return next.startsWith("/login/") ? "/" : next;
}

export function startRouter(): void {
  window.addEventListener("popstate", () => show(current()));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || !link.pathname.startsWith(`${base}/`)) return;
    if (link.hash) return;
    event.preventDefault();
    navigate(link.pathname.slice(base.length) + link.search);
  });
}
