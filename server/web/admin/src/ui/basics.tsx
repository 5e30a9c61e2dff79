import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatDate, formatTime, formatUtc, withDirectionsShown } from "../../../shared/format.ts";
import { useStore } from "../../../shared/store.ts";
import type { ApiError } from "../api/client.ts";
import type { Turn, TurnStatus } from "../api/types.ts";
import { dismiss, messages } from "../messages.ts";
import { hasNavigated, href, lastSeen } from "../router.ts";
import type { Loaded } from "./data.ts";

export interface Crumb {
  text: string;
  to?: string;
}

interface PageProps {
  title: string;
  crumbs?: Crumb[];
  actions?: ComponentChildren;
  wide?: boolean;
  children: ComponentChildren;
}

// A page's frame: breadcrumbs, heading, what was just done, and the page itself. The heading takes
// the focus when the page comes, so that a screen reader says where one is.
export function Page({ title, crumbs = [], actions, wide, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · twinchat admin`;
  }, [title]);
  useEffect(() => {
    if (!hasNavigated()) return; // The browser has put the focus where it belongs.
    const main = heading.current?.closest("main");
    if (!main?.contains(document.activeElement)) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      {crumbs.length > 0 && (
        <nav class="crumbs" aria-label="Breadcrumbs">
          <ol>
            <li>
              <a href={href("/")}>Home</a>
            </li>
            {crumbs.map((crumb) => (
              <li key={crumb.text}>
                {crumb.to ? (
                  <a href={href(lastSeen(crumb.to))}>
                    <Said text={crumb.text} />
                  </a>
                ) : (
                  <span aria-current="page">
                    <Said text={crumb.text} />
                  </span>
                )}
              </li>
            ))}
          </ol>
        </nav>
      )}
      <Messages />
      <div class={wide ? "page wide" : "page"}>
        <header class="page-head">
          <h1 ref={heading} tabIndex={-1}>
            <Said text={title} />
          </h1>
          {actions && <div class="page-actions">{actions}</div>}
        </header>
        {children}
      </div>
    </>
  );
}

function Messages() {
  return (
    <div class="messages" role="status" aria-label="What was done">
      {useStore(messages).map((message) => (
        <div key={message.id} class={`message ${message.kind}`}>
          <span class="message-kind">
            {{ success: "Done", warning: "Note", error: "Error" }[message.kind]}
          </span>
          <span class="message-text">
            <Said text={message.text} />
          </span>
          <button
            type="button"
            class="plain"
            aria-label="Dismiss"
            onClick={() => dismiss(message.id)}
          >
            ×
          </button>
        </div>
      ))}
    </div>
  );
}

// What somebody wrote, as text of its own: its direction changes nothing outside of it.
export const Said = ({ text }: { text: string }) => (
  <bdi class="said">{withDirectionsShown(text)}</bdi>
);

export const Nothing = ({ children = "–" }: { children?: ComponentChildren }) => (
  <span class="nothing">{children}</span>
);

// In the reader's own time; UTC when pointed at.
export const Time = ({ at }: { at: string }) => (
  <time dateTime={at} title={formatUtc(at)}>
    <span>{formatDate(at)},</span> <span>{formatTime(at)}</span>
  </time>
);

export const TimeOr = ({ at, none }: { at: string | null; none: string }) =>
  at ? <Time at={at} /> : <Nothing>{none}</Nothing>;

export const Yes = ({ is }: { is: boolean }) => (
  <span class={is ? "yes" : "no"}>{is ? "Yes" : "No"}</span>
);

const status_words: Record<TurnStatus, [string, string]> = {
  pending: ["answering…", "info"],
  complete: ["answered", "good"],
  truncated: ["cut", "warn"],
  blocked: ["blocked", "warn"],
  empty: ["empty", "bad"],
  failed: ["failed", "bad"],
  cancelled: ["cancelled", "bad"],
  interrupted: ["interrupted", "bad"],
};

export function Status({ status }: { status: TurnStatus }) {
  const [word, kind] = status_words[status] ?? [status, "info"];
  return <span class={`badge ${kind}`}>{word}</span>;
}

// What the visitor thinks of an answer; when that was said when pointed at.
export const Feedback = ({ feedback, feedback_at }: Pick<Turn, "feedback" | "feedback_at">) =>
  feedback && (
    <span
      class={`badge ${feedback === "up" ? "good" : "bad"}`}
      title={feedback_at ? `Given ${formatUtc(feedback_at)}` : undefined}
    >
      {feedback === "up" ? "Thumb up" : "Thumb down"}
    </span>
  );

export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  const title =
    error.status === 403 ? "Not allowed" : error.status === 404 ? "Not found" : "That did not work";
  const text = error.status === 404 ? "There is nothing here, or not any more." : error.message;
  return (
    <div class="failure" role="alert">
      <h2>{title}</h2>
      <p>{text}</p>
      {retry && error.status !== 403 && error.status !== 404 && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export const Loading = () => (
  <p class="loading" role="status">
    Loading…
  </p>
);

interface LoadedPartProps<T> {
  of: Loaded<T>;
  children: (data: T) => ComponentChildren;
}

// The part of a page that shows what was loaded, or why it was not. It is busy while it still shows
// what was asked for before.
export const LoadedPart = <T,>({ of, children }: LoadedPartProps<T>) => (
  <div class="loaded" aria-busy={of.data !== null && of.loading}>
    {of.error && <Failure error={of.error} retry={of.reload} />}
    {of.data === null ? of.loading && <Loading /> : children(of.data)}
  </div>
);

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
}

// A dialog over the page, which cannot be used meanwhile. Escape closes it.
export function Dialog({ title, onClose, children, class: name = "" }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [id] = useState(() => `dialog-${Math.random().toString(36).slice(2)}`);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={name}
      aria-labelledby={id}
      onCancel={(event: Event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  action: string;
  busy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, action, busy, onConfirm, onClose, children }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="buttons">
        <button type="button" class="danger" disabled={busy} onClick={onConfirm}>
          {action}
        </button>
        <button type="button" onClick={onClose} autofocus>
          No, take me back
        </button>
      </div>
    </Dialog>
  );
}

export const ButtonLink = ({ to, children }: { to: string; children: ComponentChildren }) => (
  <a class="button" href={href(to)}>
    {children}
  </a>
);
