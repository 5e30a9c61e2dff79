import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import {
  counted,
  formatClock,
  formatDay,
  formatDuration,
  formatNumber,
  formatUtc,
  withDirectionsShown,
} from "../../../shared/format.ts";
import { ApiError, apiUrl, get } from "../api/client.ts";
import type { Conversation, ConversationMessage, FullSession, Turn } from "../api/types.ts";
import { flash } from "../messages.ts";
import { href } from "../router.ts";
import { Failure, Feedback, Loading, Said, Status } from "../ui/basics.tsx";
import { useData } from "../ui/data.ts";
import { SessionFrame, useSession } from "./session.tsx";
import { Email, Phone } from "./sessions.tsx";

interface Shown {
  messages: ConversationMessage[];
  earlier: boolean;
}

type Change =
  | { kind: "all"; conversation: Conversation }
  | { kind: "earlier"; conversation: Conversation }
  | { kind: "message"; message: ConversationMessage }
  | { kind: "turn"; turn: Turn & { user_message_id: number } };

// The conversation after something has come. What comes twice (a stream that was taken up again) is
// there once.
export function changed(shown: Shown, change: Change): Shown {
  switch (change.kind) {
    case "all":
      return change.conversation;
    case "earlier": {
      const known = new Set(shown.messages.map(({ id }) => id));
      const older = change.conversation.messages.filter(({ id }) => !known.has(id));
      return {
        messages: [...older, ...shown.messages],
        earlier: change.conversation.earlier,
      };
    }
    case "message": {
      const others = shown.messages.filter(({ id }) => id !== change.message.id);
      const at = others.findIndex(({ id }) => id > change.message.id);
      others.splice(at < 0 ? others.length : at, 0, change.message);
      return { ...shown, messages: others };
    }
    case "turn": {
      const { user_message_id, ...turn } = change.turn;
      return {
        ...shown,
        messages: shown.messages.map((message) =>
          message.id === user_message_id ? { ...message, turn } : message,
        ),
      };
    }
  }
}

type Live = "connecting" | "live" | "gone";

export function SessionConversation({ session_id }: { session_id: string }) {
  const session = useSession(session_id);
  const path = `sessions/${encodeURIComponent(session_id)}/`;
  const first = useData(`conversation ${session_id}`, (signal) =>
    get<Conversation>(`${path}conversation/`, {}, signal),
  );
  return (
    <SessionFrame session_id={session_id} session={session} tab="conversation">
      {session.data && (
        <p class="contact">
          <Email email={session.data.user_email} /> · <Phone phone={session.data.user_phone} /> ·{" "}
          {counted(session.data.message_count, "message")}
        </p>
      )}
      {first.error && !session.error && <Failure error={first.error} retry={first.reload} />}
      {!first.data && first.loading && <Loading />}
      {first.data && <Bubbles path={path} first={first.data} onSession={session.replace} />}
    </SessionFrame>
  );
}

interface BubblesProps {
  path: string;
  first: Conversation;
  onSession: (session: FullSession) => void;
}

function Bubbles({ path, first, onSession }: BubblesProps) {
  const [shown, change] = useReducer(changed, first);
  const [live, setLive] = useState<Live>("connecting");
  const [busy, setBusy] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const height_before = useRef<number | null>(null);

  useEffect(() => {
    const after = first.messages.at(-1)?.id ?? 0;
    const source = new EventSource(apiUrl(`${path}events/`, { after }));
    const on = <T,>(name: string, use: (data: T) => void) =>
      source.addEventListener(name, (event) => use(JSON.parse((event as MessageEvent).data) as T));
    source.addEventListener("open", () => setLive("live"));
    source.addEventListener("error", () =>
      setLive(source.readyState === EventSource.CLOSED ? "gone" : "connecting"),
    );
    on<ConversationMessage>("message", (message) => change({ kind: "message", message }));
    on<Turn & { user_message_id: number }>("turn", (turn) => change({ kind: "turn", turn }));
    on<FullSession>("session", onSession);
    source.addEventListener("gone", () => {
      source.close();
      setLive("gone");
    });
    return () => source.close();
  }, [path, first]);

  // Stays at the newest message for as long as that is what is looked at.
  useEffect(() => {
    const look = () => {
      const place = end.current?.getBoundingClientRect();
      follow.current = !place || place.top <= window.innerHeight + 80;
    };
    window.addEventListener("scroll", look, { passive: true });
    return () => window.removeEventListener("scroll", look);
  }, []);
  const count = shown.messages.length;
  useLayoutEffect(() => {
    if (height_before.current !== null && list.current) {
      window.scrollBy(0, list.current.scrollHeight - height_before.current);
      height_before.current = null;
    } else if (follow.current) {
      end.current?.scrollIntoView({ block: "nearest" });
    }
  }, [count]);

  const earlier = async () => {
    const oldest = shown.messages[0]?.id;
    if (oldest === undefined) return;
    setBusy(true);
    try {
      const conversation = await get<Conversation>(`${path}conversation/`, { before: oldest });
      height_before.current = list.current?.scrollHeight ?? null;
      follow.current = false;
      change({ kind: "earlier", conversation });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      flash("error", error.message);
    } finally {
      setBusy(false);
    }
  };

  // What is said of an answer comes with its question.
  const turns = new Map(shown.messages.map(({ turn }) => [turn?.answer_id, turn]));
  let day = "";
  return (
    <div class="conversation">
      {shown.earlier && (
        <button type="button" class="earlier" disabled={busy} onClick={() => void earlier()}>
          Show earlier messages
        </button>
      )}
      <div role="log" aria-label="Conversation" ref={list}>
        <ol class="bubbles">
          {shown.messages.map((message) => {
            const its_day = formatDay(message.created_at);
            const new_day = its_day !== day;
            day = its_day;
            const answers = turns.get(message.id);
            return (
              <li key={message.id} class={message.is_bot ? "bot" : "visitor"}>
                {new_day && <div class="day">{its_day}</div>}
                <article class="bubble" aria-label={message.is_bot ? "Bot" : "Visitor"}>
                  <header>
                    <span class="who">{message.is_bot ? "Bot" : "Visitor"}</span>
                    <time dateTime={message.created_at} title={formatUtc(message.created_at)}>
                      {formatClock(message.created_at)}
                    </time>
                    <a href={href(`/messages/${message.id}/`)} aria-label={`Message ${message.id}`}>
                      #{message.id}
                    </a>
                  </header>
                  <div class="text" dir="auto">
                    {withDirectionsShown(message.content)}
                  </div>
                  {answers && <Feedback {...answers} />}
                </article>
                {message.turn && <TurnLine turn={message.turn} />}
              </li>
            );
          })}
        </ol>
      </div>
      {count === 0 && <p class="empty">Nothing was said yet.</p>}
      <div class={`live ${live}`} role="status" ref={end}>
        {live === "live"
          ? "Live: new messages appear here."
          : live === "connecting"
            ? "Connecting…"
            : "No longer live: the session was deleted, or the log-in has ended. Reload the page to go on."}
      </div>
    </div>
  );
}

function TurnLine({ turn }: { turn: Turn }) {
  const { usage } = turn;
  return (
    <div class="turn">
      <Status status={turn.status} />
      {turn.model && (
        <span title={turn.model_version ? `Version ${turn.model_version}` : undefined}>
          {turn.model}
        </span>
      )}
      {turn.latency_ms !== null && turn.status !== "pending" && (
        <span title="Until the answer was there">{formatDuration(turn.latency_ms)}</span>
      )}
      {usage && usage.total_tokens > 0 && (
        <span
          title={`Prompt ${formatNumber(usage.prompt_tokens)} (${formatNumber(usage.cached_tokens)} from the cache), answer ${formatNumber(usage.output_tokens)}, thoughts ${formatNumber(usage.thought_tokens)}`}
        >
          {formatNumber(usage.prompt_tokens)} +{" "}
          {formatNumber(usage.output_tokens + usage.thought_tokens)} tokens
        </span>
      )}
      {turn.attempts > 1 && <span>{counted(turn.attempts, "attempt")}</span>}
      {[turn.error_code, turn.block_reason, turn.finish_reason !== "STOP" ? turn.finish_reason : ""]
        .filter(Boolean)
        .map((reason) => (
          <span key={reason} class="reason">
            <Said text={reason} />
          </span>
        ))}
    </div>
  );
}
