// The conversation: what was said, what is to be asked next, and what is under way. It knows the server
// and the other tabs, and nothing of how it is shown.
import {
  Api,
  ApiError,
  type Details,
  type Done,
  type Feedback,
  type FieldName,
  type Settings,
  type StoredMessage,
} from "./api.ts";
import { type Pending, type Saved, Storage } from "./saved.ts";
import type { Texts } from "./texts.ts";

export interface Problem {
  text: keyof Texts;
  // When it makes sense to try again, in milliseconds since 1970.
  until?: number;
}

export interface Item {
  // Of the element that shows it; the same in all tabs.
  key: string;
  // The server's; without one it cannot be rated.
  id?: number | undefined;
  bot: boolean;
  text: string;
  // An answer that is still growing.
  writing?: boolean;
  status?: string | undefined;
  feedback?: Feedback | undefined;
  problem?: Problem | undefined;
}

export type Step =
  | { kind: "consent" }
  // `value` is what was wrong.
  | { kind: "detail"; field: FieldName; required: boolean; error?: keyof Texts; value?: string }
  | { kind: "restart" };

export type EventName =
  | "ready"
  | "open"
  | "close"
  | "message"
  | "answer"
  | "error"
  | "consent"
  | "details"
  | "feedback"
  | "restart";

// What the chat tells whoever shows it.
export interface Watcher {
  // Items came, went or moved.
  listed(): void;
  // One item is another.
  changed(item: Item): void;
  // Anything else: steps, the banner, whether an answer is under way.
  state(): void;
  // For the page around.
  event(name: EventName, detail?: unknown): void;
}

// What goes from tab to tab, beside what is kept.
type News = { kind: "item"; item: Item } | { kind: "busy"; pending: Pending } | { kind: "idle" };

const page_size = 50;
const post_ms = 150;
// How often a lost connection is tried again, and how often one that never was.
const reconnects = 8;
const connects = 3;

export const question = (key: string) => `${key}:q`;
export const answer = (key: string) => `${key}:a`;

// crypto.randomUUID() is there for https pages only.
function uuid(): string {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const failure = (error: unknown): ApiError => (error instanceof ApiError ? error : new ApiError(0));

export class Chat {
  items: Item[] = [];
  settings?: Settings;
  step: Step | undefined;
  banner: keyof Texts | undefined;
  // The key of the question that is being answered, here or in another tab.
  busy: string | undefined;
  // There are earlier messages.
  before: string | null = null;
  // A message that came back to be changed.
  returned = "";

  private saved: Saved;
  private readonly storage: Storage;
  private readonly channel: BroadcastChannel | undefined;
  private readonly lock: string;
  // Details that the server has not been given yet.
  private details: Details = {};
  private readonly rejected = new Set<FieldName>();
  private started: Promise<boolean> | undefined;
  private abort = new AbortController();
  private stopping = false;
  private over = false;
  private seen: () => boolean = () => false;
  private readonly off = new AbortController();

  constructor(
    private readonly api: Api,
    private readonly watcher: Watcher,
    // The language in which the visitor reads the operator's texts.
    private readonly language: () => string,
  ) {
    this.lock = `twinchat:${api.base}`;
    this.storage = new Storage(this.lock);
    this.saved = this.storage.load();
    if (typeof BroadcastChannel === "function") {
      this.channel = new BroadcastChannel(this.lock);
      this.channel.onmessage = ({ data }) => this.hear(data as News & { round: number });
    }
    window.addEventListener(
      "storage",
      ({ key }) => {
        if (key !== this.lock) return;
        this.refresh();
        if (this.unread > 0 && this.seen()) this.read();
        this.watcher.state();
      },
      { signal: this.off.signal },
    );
    for (const name of ["online", "offline"]) {
      window.addEventListener(name, () => this.say(this.banner), { signal: this.off.signal });
    }
  }

  get unread(): number {
    return this.saved.unread ?? 0;
  }

  get tongue(): string {
    return this.saved.tongue ?? "";
  }

  // The language that the visitor chose.
  choose(tongue: string): void {
    this.refresh();
    this.keep({ tongue });
  }

  get consent(): Saved["consent"] {
    return this.saved.consent;
  }

  // Something from before this page was shown waits for its end.
  get unfinished(): boolean {
    return !!this.saved.pending && !this.saved.pending.failed;
  }

  // Whether answers are being looked at, so that they are not counted as unread.
  watched(seen: () => boolean): void {
    this.seen = seen;
  }

  // Asks the server for what is needed to begin. False when it could not be reached.
  start(): Promise<boolean> {
    this.started ??= this.begin().then((begun) => {
      if (!begun) this.started = undefined;
      return begun;
    });
    return this.started;
  }

  // False when nothing was sent: it is empty or too long, or an answer is still under way.
  async send(text: string): Promise<boolean> {
    const message = text.trim();
    if (!message || this.over || !(await this.start()) || this.busy || this.tooLong(message) > 0) {
      return false;
    }
    this.refresh();
    // Whatever is being asked: this comes first.
    this.step = undefined;
    const pending: Pending = { key: uuid(), text: message };
    this.keep({ pending });
    this.put({ key: question(pending.key), bot: false, text: message });
    this.watcher.event("message", { text: message });
    await this.go();
    return true;
  }

  // By how many characters.
  tooLong(text: string): number {
    return [...text.trim()].length - (this.settings?.max_message_length ?? 5000);
  }

  async retry(): Promise<void> {
    const { pending } = this.saved;
    if (!pending || this.busy) return;
    this.keep({ pending: { key: pending.key, text: pending.text } });
    const item = this.find(question(pending.key));
    if (item) this.put({ ...item, problem: undefined });
    await this.go();
  }

  canRetry = (item: Item): boolean =>
    !this.busy && !!this.saved.pending && item.key === question(this.saved.pending.key);

  stop(): void {
    const key = this.busy;
    if (!key) return;
    this.stopping = true;
    const { session } = this.saved;
    const give_up = () => {
      if (this.busy === key) this.abort.abort();
    };
    // The stream says how it ended; a server that cannot be asked is left.
    if (session && this.find(answer(key))) {
      this.api.stop(session, key).catch(give_up);
      setTimeout(give_up, 3000);
    } else {
      give_up();
    }
  }

  async agree(yes: boolean): Promise<void> {
    const { consent } = this.settings ?? {};
    if (!consent) return;
    this.step = undefined;
    this.watcher.event("consent", { given: yes, version: consent.version });
    if (yes) {
      this.keep({ consent: { version: consent.version, language: this.language() } });
    } else if (consent.required) {
      return this.giveBack();
    } else {
      this.keep({ declined: consent.version });
    }
    await this.go();
  }

  async withdraw(): Promise<void> {
    const { session, consent } = this.saved;
    if (!consent || this.busy) return;
    try {
      if (session && consent.at) await this.api.withdraw(session);
    } catch (error) {
      if (failure(error).status !== 404) return this.say("unreachable");
    }
    this.keep({ consent: undefined });
    this.say("withdrawn");
    this.watcher.event("consent", { given: false, version: consent.version });
  }

  // A detail, or null when it is skipped.
  async tell(value: string | null): Promise<void> {
    const { step } = this;
    if (step?.kind !== "detail") return;
    const text = value?.trim() ?? "";
    const error = text || step.required ? this.wrong(step.field, text) : undefined;
    if (error) {
      this.step = { ...step, error, value: text };
      return this.watcher.state();
    }
    this.details[step.field] = text;
    this.rejected.delete(step.field);
    this.step = undefined;
    await this.go();
  }

  // What the page around knows of the visitor: it is not asked for.
  async identify(details: Details): Promise<void> {
    for (const name of ["name", "email", "phone"] as const) {
      const value = details[name];
      if (typeof value === "string" && value.trim()) this.details[name] = value.trim();
    }
    if (this.step?.kind === "detail" && this.details[this.step.field]) {
      this.step = undefined;
      await this.go();
    } else if (this.saved.session && !this.busy && (await this.start()) && this.mayKnow()) {
      await this.bringDetails();
    }
  }

  askToRestart(): void {
    this.step = { kind: "restart" };
    this.watcher.state();
  }

  async dismiss(): Promise<void> {
    this.step = undefined;
    this.watcher.state();
    if (!this.busy) await this.go();
  }

  startOver(): void {
    this.stop();
    this.abort.abort();
    this.refresh();
    this.beginRound(this.round + 1);
    this.storage.save(this.saved);
    this.watcher.event("restart");
  }

  async rate(item: Item, value: Feedback): Promise<void> {
    const { session } = this.saved;
    if (!session || !item.id) return;
    const old = item.feedback;
    this.put({ ...item, feedback: value });
    try {
      await this.api.feedback(session, item.id, value);
      this.watcher.event("feedback", { message_id: item.id, value });
      if (value) this.say("thanks");
    } catch {
      const now = this.find(item.key);
      if (now) this.put({ ...now, feedback: old });
      this.say("unreachable");
    }
  }

  // Brings the page of messages before those that are there.
  async earlier(): Promise<void> {
    const { session } = this.saved;
    if (!session || !this.before) return;
    try {
      const { messages, before } = await this.api.messages(session, page_size, this.before);
      if (this.saved.session !== session) return;
      this.items = [...messages.map(itemOf), ...this.items];
      this.before = before;
      this.say(undefined);
      this.watcher.listed();
    } catch {
      this.say("unreachable");
    }
  }

  // Everything there is has been looked at.
  read(): void {
    if (this.unread > 0) this.keep({ unread: 0 });
  }

  destroy(): void {
    this.over = true;
    this.abort.abort();
    this.off.abort();
    this.channel?.close();
  }

  private async begin(): Promise<boolean> {
    this.say("loading");
    const { round } = this;
    try {
      const [settings, history] = await Promise.all([
        this.settings ?? this.api.settings(),
        this.history(),
      ]);
      this.settings = settings;
      // Another tab may have started over meanwhile.
      this.items = round === this.round ? history : await this.history();
      this.say(undefined);
      this.watcher.listed();
    } catch {
      this.say("unreachable");
      return false;
    }
    this.watcher.event("ready");
    const { pending } = this.saved;
    if (pending) {
      const key = question(pending.key);
      // The server may have got it, and no further.
      const last = this.items[this.items.length - 1];
      if (last && !last.bot && last.text === pending.text) last.key = key;
      else this.items.push({ key, bot: false, text: pending.text });
      if (pending.failed) this.put({ ...(this.find(key) as Item), problem: { text: "failed" } });
      this.watcher.listed();
    }
    void this.go(true);
    return true;
  }

  private async history(): Promise<Item[]> {
    const { session } = this.saved;
    if (!session) return [];
    try {
      const { messages, before } = await this.api.messages(session, page_size);
      // Another tab has started over.
      if (this.saved.session !== session) return await this.history();
      this.before = before;
      return messages.map(itemOf);
    } catch (error) {
      if (failure(error).status !== 404) throw error;
      // Erased, by its age or on request: a new one begins with the next question.
      this.loseSession();
      return [];
    }
  }

  private mayKnow(): boolean {
    const { consent } = this.settings ?? {};
    return !consent || this.saved.consent?.version === consent.version;
  }

  // What has to be asked before the question may be sent, or after it was answered.
  private nextStep(when: Settings["details"]["when"]): Step | undefined {
    const { consent, details } = this.settings as Settings;
    if (consent && !this.mayKnow() && this.saved.declined !== consent.version) {
      return { kind: "consent" };
    }
    if (details.when !== when || !this.mayKnow()) return undefined;
    const next = details.fields.find(
      ({ name }) => !this.saved.asked?.includes(name) && this.details[name] === undefined,
    );
    if (!next) return undefined;
    const { name, required } = next;
    return {
      kind: "detail",
      field: name,
      required,
      ...(this.rejected.has(name) ? { error: `wrong_${name}` } : {}),
    };
  }

  // One step nearer to the answer of what is pending; and when nothing is, to the details.
  private async go(resumed = false): Promise<void> {
    const { pending } = this.saved;
    if (pending && !pending.failed) {
      this.step = this.nextStep("before_first_answer");
      this.watcher.state();
      if (!this.step) await this.run(pending, resumed);
    } else if (!pending && this.items.some((item) => item.bot)) {
      this.step = this.nextStep("after_first_answer");
      this.watcher.state();
      if (!this.step) await this.bringDetails();
    }
  }

  private wrong(field: FieldName, text: string): keyof Texts | undefined {
    if (!text) return "needed";
    const limit = { name: 255, email: 254, phone: 20 }[field];
    const shape = {
      name: /\S/,
      email: /^[^\s@]+@[^\s@]+\.[^\s@]+$/,
      phone: /^[+\d][\d\s()./-]*\d$/,
    }[field];
    const { pattern } = this.settings?.details.fields.find(({ name }) => name === field) ?? {};
    let right = [...text].length <= limit && shape.test(text);
    try {
      right &&= !pattern || new RegExp(`^(?:${pattern})$`, "u").test(text);
    } catch {
      // The server has its own word to say.
    }
    return right ? undefined : `wrong_${field}`;
  }

  // One tab at a time asks, and when that one is closed another goes on.
  private async run(pending: Pending, resumed: boolean): Promise<void> {
    if (this.busy === pending.key) return;
    this.busy = pending.key;
    this.stopping = false;
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.watcher.state();
    const task = async () => {
      this.refresh();
      const { pending: left } = this.saved;
      if (signal.aborted || left?.key !== pending.key || left.failed) return;
      this.tell_others({ kind: "busy", pending });
      try {
        await this.exchange(pending, resumed, signal);
      } finally {
        this.tell_others({ kind: "idle" });
      }
    };
    try {
      if (navigator.locks) await navigator.locks.request(this.lock, { signal }, task);
      else await task();
    } catch {
      // Left while another tab was at work.
    }
    if (this.busy === pending.key) this.busy = undefined;
    this.say(this.banner === "slow" || this.banner === "resuming" ? undefined : this.banner);
    if (!this.over && !signal.aborted) await this.go();
  }

  private async exchange(pending: Pending, resumed: boolean, signal: AbortSignal): Promise<void> {
    const key = answer(pending.key);
    let after = resumed ? "0" : undefined;
    let failures = 0;
    let renewed = false;
    let reached = resumed;
    let text = "";
    this.say(undefined);
    const slow = setTimeout(() => {
      if (!text) this.say("slow");
    }, 8000);
    try {
      for (;;) {
        try {
          await this.untilOnline(signal);
          const session_id = await this.openSession();
          signal.throwIfAborted();
          this.put({ key, bot: true, text, writing: true });
          const done = await this.api.ask(
            // The same every time, or the server would take it for another question.
            { session_id, message: pending.text },
            pending.key,
            after,
            signal,
            {
              alive: () => {
                reached = true;
                if (this.banner === "resuming") this.say(undefined);
              },
              // The whole answer follows, whatever was seen of it.
              begin: () => {
                after = "0";
                text = "";
              },
              text: (piece, id) => {
                // Ids grow: what has been seen is not said twice.
                if (Number(id) <= Number(after ?? 0)) return;
                after = id;
                failures = 0;
                text += piece;
                if (this.banner === "slow") this.say(undefined);
                this.put({ key, bot: true, text, writing: true });
              },
            },
          );
          return this.answered(pending, done);
        } catch (thrown) {
          if (signal.aborted) return this.left(pending, text);
          const error = failure(thrown);
          const { status } = error;
          if (status === 404 && !renewed) {
            renewed = true;
            this.loseSession();
          } else if (status === 0 && failures < (reached ? reconnects : connects)) {
            // Whether the question arrived nobody knows: its key keeps it from being asked twice.
            if (reached) this.say("resuming");
            await this.pause(Math.min(8000, 500 * 2 ** failures), signal);
            ++failures;
            after ??= "0";
          } else if (status === 409 && failures < reconnects) {
            // It is being answered, on a connection that is no more.
            ++failures;
            await this.pause((error.retry_after ?? 1) * 1000, signal);
          } else if (wrongDetails(error)) {
            this.remove(key);
            return this.reject(wrongDetails(error) ?? []);
          } else {
            return this.failed(pending, error, text);
          }
        }
      }
    } finally {
      clearTimeout(slow);
    }
  }

  private async openSession(): Promise<string> {
    if (!this.saved.session) this.keep({ session: await this.api.createSession() });
    const session = this.saved.session as string;
    const { consent } = this.saved;
    if (consent && !consent.at && this.settings?.consent) {
      const { given_at } = await this.api.consent(session, consent.version, consent.language);
      // Another conversation has a consent of its own.
      this.refresh();
      if (this.saved.session !== session) throw new ApiError(0);
      this.keep({ consent: { ...consent, at: given_at } });
    }
    const details = this.filled();
    if (details) await this.api.updateDetails(session, details);
    this.detailsAreKnown();
    return session;
  }

  private answered(pending: Pending, { bot_response, status }: Done): void {
    this.refresh();
    // Another tab has started over.
    if (this.saved.pending?.key !== pending.key) return;
    const seen = this.seen();
    this.keep({ pending: undefined, ...(seen ? {} : { unread: this.unread + 1 }) });
    const asked = this.find(question(pending.key));
    if (asked?.problem) this.put({ ...asked, problem: undefined });
    this.end(pending, bot_response, status);
    this.watcher.event("answer", { text: bot_response, status });
  }

  // The answer's last form; without words there is none.
  private end(pending: Pending, text: string, status?: string): void {
    const key = answer(pending.key);
    if (!text) {
      this.remove(key);
      return this.put({ key: question(pending.key), bot: false, text: pending.text, status });
    }
    this.put({ key, bot: true, text, status });
    if (this.settings?.feedback) void this.nameMessages(pending.key);
  }

  // The ids that the server gave the question and its answer.
  private async nameMessages(key: string): Promise<void> {
    const { session } = this.saved;
    if (!session) return;
    try {
      const { messages } = await this.api.messages(session, 2);
      for (const { id, is_bot, content, feedback, status } of messages) {
        const item = this.find(is_bot ? answer(key) : question(key));
        if (item?.text === content) {
          this.put({ ...item, id, feedback, status: status ?? item.status });
        }
      }
    } catch {
      // Then it cannot be rated before the next visit.
    }
  }

  // The visitor stopped it, or the page is going.
  private left(pending: Pending, text: string): void {
    if (!this.stopping || this.saved.pending?.key !== pending.key) return;
    this.keep({ pending: undefined });
    this.end(pending, text, "cancelled");
  }

  private failed(pending: Pending, error: ApiError, text: string): void {
    if (this.stopping) return this.left(pending, text);
    const { status, retry_after, body } = error;
    const until = retry_after === undefined ? undefined : Date.now() + retry_after * 1000;
    const problem: Problem =
      status === 429
        ? body["code"] === "daily_tokens"
          ? { text: "daily" }
          : { text: "wait", until: until ?? Date.now() + 10_000 }
        : status === 503 && until
          ? { text: "busy", until }
          : { text: status === 0 ? "unreachable" : status < 500 ? "refused" : "failed" };
    this.remove(answer(pending.key));
    this.keep({ pending: { ...pending, failed: true } });
    this.put({ key: question(pending.key), bot: false, text: pending.text, problem });
    this.watcher.event("error", { status, problem: problem.text, retry_after });
  }

  // The server does not like these details: they are asked for again.
  private reject(wrong: string[]): void {
    for (const name of wrong as FieldName[]) {
      delete this.details[name];
      this.rejected.add(name);
    }
    this.keep({ asked: this.saved.asked?.filter((name) => !wrong.includes(name)) });
  }

  // To the composer, where it can be sent again.
  private giveBack(): void {
    const { pending } = this.saved;
    if (!pending) return;
    this.keep({ pending: undefined });
    this.remove(question(pending.key));
    this.returned = pending.text;
    this.say("needs_consent");
  }

  // What may be sent.
  private filled(): Details | undefined {
    if (!this.mayKnow()) return undefined;
    const given = Object.entries(this.details).filter(([, value]) => value);
    return given.length > 0 ? Object.fromEntries(given) : undefined;
  }

  private detailsAreKnown(): void {
    const names = Object.keys(this.details) as FieldName[];
    if (names.length === 0 || !this.mayKnow()) return;
    this.keep({ asked: [...new Set([...(this.saved.asked ?? []), ...names])] });
    const fields = Object.keys(this.filled() ?? {});
    this.details = {};
    if (fields.length > 0) this.watcher.event("details", { fields });
  }

  // What was given after an answer. What cannot be brought now is brought with the next question.
  private async bringDetails(): Promise<void> {
    if (Object.keys(this.details).length === 0 || !this.saved.session) return;
    try {
      await this.openSession();
    } catch (error) {
      const wrong = wrongDetails(failure(error));
      if (!wrong) return;
      this.reject(wrong);
      await this.go();
    }
  }

  private loseSession(): void {
    const { consent } = this.saved;
    this.keep({
      session: undefined,
      consent: consent && { version: consent.version, language: consent.language },
    });
  }

  private async untilOnline(signal: AbortSignal): Promise<void> {
    if (navigator.onLine) return;
    this.say("offline");
    await new Promise<void>((resume) => {
      window.addEventListener("online", () => resume(), { once: true, signal: this.off.signal });
      signal.addEventListener("abort", () => resume());
    });
    this.say(undefined);
  }

  // Shorter when the connection comes back meanwhile.
  private pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resume) => {
      setTimeout(resume, milliseconds);
      window.addEventListener("online", () => resume(), { once: true, signal: this.off.signal });
      signal.addEventListener("abort", () => resume());
    });
  }

  private find = (key: string): Item | undefined => this.items.find((item) => item.key === key);

  private put(item: Item): void {
    this.show(item);
    this.post(item);
  }

  private show(item: Item): void {
    const at = this.items.findIndex(({ key }) => key === item.key);
    if (at < 0) {
      this.items.push(item);
      this.watcher.listed();
    } else {
      this.items[at] = item;
      this.watcher.changed(item);
    }
  }

  private remove(key: string): void {
    this.drop(key);
    this.tell_others({ kind: "item", item: { key, bot: true, text: "" } });
  }

  private drop(key: string): void {
    this.items = this.items.filter((item) => item.key !== key);
    this.watcher.listed();
  }

  private forget(): void {
    this.items = [];
    this.before = null;
    this.step = this.banner = undefined;
    this.watcher.listed();
    this.watcher.state();
  }

  private get round(): number {
    return this.saved.round ?? 0;
  }

  private beginRound(round: number): void {
    const { tongue } = this.saved;
    this.saved = tongue ? { round, tongue } : { round };
    this.details = {};
    this.abort.abort();
    this.forget();
  }

  // Takes over what other tabs have kept. That is seen here a moment after it was written, maybe after
  // what they said: what is of an earlier round than ours is old. False when one has started over.
  private refresh(): boolean {
    const { session } = this.saved;
    const kept = this.storage.load();
    const round = kept.round ?? 0;
    const same = round <= this.round;
    if (!same) this.beginRound(round);
    if (round < this.round) return same;
    this.saved = kept;
    if (same && session && session !== kept.session && !kept.pending) {
      // It is gone from the server.
      this.abort.abort();
      this.forget();
    }
    return same;
  }

  private keep(change: { [name in keyof Saved]?: Saved[name] | undefined }): void {
    // Other tabs write as well; each its own part. What belongs to an earlier round is not kept.
    if (this.refresh()) {
      this.saved = JSON.parse(JSON.stringify({ ...this.saved, ...change }));
      this.storage.save(this.saved);
    }
    this.watcher.state();
  }

  private say(banner: keyof Texts | undefined): void {
    this.banner = banner;
    this.watcher.state();
    // Good to know, and then not any more.
    if (banner === "thanks" || banner === "withdrawn") {
      setTimeout(() => {
        if (this.banner === banner) this.say(undefined);
      }, 6000);
    }
  }

  private posted = 0;
  private waiting: ReturnType<typeof setTimeout> | undefined;

  // A growing answer is not copied into the other tabs for every word.
  private post(item: Item): void {
    clearTimeout(this.waiting);
    const wait = item.writing ? this.posted + post_ms - Date.now() : 0;
    if (wait > 0) {
      this.waiting = setTimeout(() => this.post(this.find(item.key) ?? item), wait);
      return;
    }
    this.posted = Date.now();
    this.tell_others({ kind: "item", item });
  }

  private tell_others(news: News): void {
    if (!this.over) this.channel?.postMessage({ ...news, round: this.round });
  }

  private hear(news: News & { round: number }): void {
    if (news.round < this.round) return;
    if (news.round > this.round) this.beginRound(news.round);
    // Until it is looked at for the first time there is nothing to keep in step.
    if (!this.settings) return;
    if (news.kind === "item") {
      const { item } = news;
      if (item.text || item.writing) this.show(item);
      else this.drop(item.key);
    } else if (news.kind === "busy") {
      this.step = undefined;
      if (navigator.locks) void this.run(news.pending, true);
      else this.busy = news.pending.key;
      this.watcher.state();
    } else if (!navigator.locks) {
      this.busy = undefined;
      this.watcher.state();
    }
  }
}

const itemOf = ({ id, is_bot, content, feedback, status }: StoredMessage): Item => ({
  key: `m${id}`,
  // Answers that no turn gave cannot be rated.
  id: is_bot && feedback === undefined ? undefined : id,
  bot: is_bot,
  text: content,
  feedback,
  status,
});

// The names of the details that the server refuses.
function wrongDetails({ status, body }: ApiError): string[] | undefined {
  const wrong = body["user_details"];
  return status === 400 && wrong && typeof wrong === "object" ? Object.keys(wrong) : undefined;
}
