// The chat as it is seen and heard: in a shadow root, where the page's styles do not reach.
import type { Api, Details, FieldName, ServerTexts } from "./api.ts";
import { Body, longest } from "./body.ts";
import { Chat, type EventName, type Item, type Step } from "./chat.ts";
import { h, icon } from "./dom.ts";
import { plain, parseMarkdown } from "./markdown.ts";
import { isAllowedLink, languageOf, type Options } from "./options.ts";
import css from "./styles.css?inline";
import { fill, isRightToLeft, textsOf, type Texts } from "./texts.ts";

interface Shown {
  element: HTMLElement;
  body: Body;
  foot: HTMLElement;
  item: Item;
}

// Screen readers are told the beginning of what is longer.
const longest_said = 5000;
const keyboards: Record<FieldName, { type: string; autocomplete: string }> = {
  name: { type: "text", autocomplete: "name" },
  email: { type: "email", autocomplete: "email" },
  phone: { type: "tel", autocomplete: "tel" },
};

export class View {
  readonly chat: Chat;
  private readonly host = document.createElement("twinchat-widget");
  private readonly root: ShadowRoot;
  private readonly off = new AbortController();
  private readonly shown = new Map<string, Shown>();
  private readonly small = window.matchMedia("(max-width: 480px)");
  private readonly dark = window.matchMedia("(prefers-color-scheme: dark)");
  private readonly inline: boolean;
  private language: string;
  private texts: Texts;
  private is_open = false;
  // The end of the conversation is followed.
  private pinned = true;
  // What had the focus before it was opened.
  private before: Element | null = null;
  private scroll_top = 0;
  private readonly sizes = new ResizeObserver(() => this.follow());
  private step: Step | undefined;
  private clock: ReturnType<typeof setInterval> | undefined;

  // Made anew for every language:
  private frame!: HTMLElement;
  private panel!: HTMLElement;
  private launcher!: HTMLButtonElement;
  private badge!: HTMLElement;
  private title!: HTMLElement;
  private log!: HTMLElement;
  private list!: HTMLElement;
  private begin!: HTMLElement;
  private earlier!: HTMLButtonElement;
  private newest!: HTMLButtonElement;
  private banner!: HTMLElement;
  private live!: HTMLElement;
  private asked!: HTMLElement;
  private composer!: HTMLFormElement;
  private input!: HTMLTextAreaElement;
  private send!: HTMLButtonElement;
  private over!: HTMLElement;
  private notice!: HTMLElement;

  constructor(
    private readonly api: Api,
    private readonly options: Options,
    private readonly tell: (name: EventName, detail?: unknown) => void,
  ) {
    const place = options.page
      ? document.body
      : options.target
        ? document.querySelector(options.target)
        : null;
    this.inline = !!place;
    this.language = languageOf(options);
    this.texts = textsOf(this.language);
    this.chat = new Chat(
      api,
      {
        listed: () => this.drawList(),
        changed: (item) => this.drawItem(item),
        state: () => this.drawState(),
        event: (name, detail) => {
          if (name === "ready") this.settled();
          tell(name, detail);
        },
      },
      () => this.serverLanguage(),
    );
    if (this.chat.tongue) this.learn(this.chat.tongue);
    this.chat.watched(() => this.is_open && !document.hidden);
    this.root = this.host.attachShadow({ mode: "open" });
    this.style();
    this.build();
    // Beside the body: what a page does to its body does not reach the widget.
    (place ?? document.documentElement).append(this.host);
    const on = { signal: this.off.signal };
    this.dark.addEventListener("change", () => this.dress(), on);
    this.small.addEventListener("change", () => this.drawState(), on);
    document.addEventListener("visibilitychange", () => this.looked(), on);
    if (this.inline || options.open || (this.wasOpen() && !this.small.matches)) this.open(false);
    else if (this.chat.unfinished) void this.chat.start();
  }

  get opened(): boolean {
    return this.is_open;
  }

  open(focus = true): void {
    if (!this.is_open) {
      this.is_open = true;
      this.before = document.activeElement;
      this.remember();
      this.drawState();
      this.measure();
      this.follow();
      this.tell("open");
      void this.chat.start().then(() => this.looked());
    }
    if (focus) this.focus();
  }

  close(): void {
    if (!this.is_open || this.inline) return;
    const inside = this.root.activeElement;
    this.is_open = false;
    this.remember();
    this.drawState();
    const back = this.launcher.isConnected ? this.launcher : this.before;
    if (inside && back instanceof HTMLElement) back.focus();
    this.tell("close");
  }

  async say(text: string): Promise<boolean> {
    this.open(false);
    this.pinned = true;
    return this.chat.send(text);
  }

  identify(details: Details): Promise<void> {
    return this.chat.identify(details);
  }

  private learn(language: string): void {
    this.options.language = language;
    this.language = languageOf(this.options, this.chat.settings?.default_language);
    this.texts = textsOf(this.language);
  }

  speak(language = this.options.language): void {
    this.learn(language);
    const { activeElement } = this.root;
    this.build();
    this.drawList();
    this.drawState();
    if (!activeElement) return;
    const same = [activeElement.localName, ...activeElement.classList].join(".");
    const again = this.root.querySelector<HTMLElement>(same);
    if (again) again.focus();
    else this.focus();
  }

  destroy(): void {
    this.off.abort();
    this.sizes.disconnect();
    clearInterval(this.clock);
    this.chat.destroy();
    this.host.remove();
  }

  // Styles that no policy of the page forbids, where the browser has them.
  private style(): void {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      this.root.adoptedStyleSheets = [sheet];
    } catch {
      this.root.append(h("style", {}, css));
    }
  }

  private build(): void {
    const { texts } = this;
    const button = (
      name: string,
      label: string,
      drawing: Parameters<typeof icon>[0],
      onclick: () => void,
    ) =>
      h(
        "button",
        { class: name, type: "button", "aria-label": label, title: label, onclick },
        icon(drawing),
      );
    const text = this.input?.value ?? "";
    this.shown.clear();
    this.step = undefined;
    this.frame?.remove();

    this.badge = h("span", { class: "badge" });
    this.launcher = button("launcher", texts.open, "chat", () =>
      this.is_open ? this.close() : this.open(),
    );
    this.launcher.append(this.badge);
    this.title = h(this.options.page ? "h1" : "h2", { id: "title" }, texts.title);
    this.earlier = h(
      "button",
      { class: "quiet", type: "button", onclick: () => this.loadEarlier() },
      texts.earlier,
    );
    this.begin = h("div", { class: "begin" });
    this.list = h("div", { class: "list" });
    this.log = h(
      "div",
      {
        class: "log",
        role: "log",
        "aria-live": "off",
        "aria-label": texts.conversation,
        tabindex: 0,
      },
      this.earlier,
      this.begin,
      this.list,
    );
    this.newest = button("newest", texts.newest, "down", () => {
      this.pinned = true;
      this.follow();
    });
    this.newest.hidden = true;
    this.banner = h("div", { class: "banner", role: "status", dir: "auto" });
    this.live = h("div", { class: "hidden", role: "status" });
    this.asked = h("div", { class: "asked" });
    this.input = h("textarea", {
      rows: 1,
      "aria-label": texts.message,
      placeholder: texts.placeholder,
      dir: "auto",
      enterkeyhint: "send",
      oninput: () => this.measure(),
      onkeydown: (event: KeyboardEvent) => {
        // Enter also ends the choice of a word in many scripts.
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.submit();
        }
      },
    });
    this.input.value = text;
    this.send = h("button", { class: "send" });
    this.over = h("div", { class: "over", role: "status" });
    this.composer = h(
      "form",
      {
        class: "composer",
        onsubmit: (event: Event) => {
          event.preventDefault();
          if (this.chat.busy) this.chat.stop();
          else this.submit();
        },
      },
      this.input,
      this.send,
    );
    this.notice = h("p", { class: "notice", dir: "auto" });
    const restart = button("restart", texts.restart, "restart", () => {
      this.chat.askToRestart();
      this.focus();
    });
    this.panel = h(
      this.options.page ? "main" : "section",
      {
        class: "panel",
        ...(this.inline ? {} : { role: "dialog" }),
        "aria-labelledby": "title",
        tabindex: -1,
      },
      h(
        "header",
        {},
        this.title,
        this.languages(),
        restart,
        !this.inline && button("close", texts.close, "close", () => this.close()),
      ),
      this.banner,
      h("div", { class: "middle" }, this.log, this.newest),
      h("footer", {}, this.over, this.asked, this.composer, this.notice),
    );
    this.frame = h(
      "div",
      { class: "frame", lang: this.language, onkeydown: (event: KeyboardEvent) => this.key(event) },
      this.panel,
      !this.inline && this.options.launcher && this.launcher,
      this.live,
    );
    this.log.addEventListener("scroll", () => this.scrolled());
    this.sizes.disconnect();
    for (const element of [this.list, this.log]) this.sizes.observe(element);
    this.dress();
    this.root.append(this.frame);
    this.measure();
    this.drawBegin();
    this.drawState();
  }

  // Languages that both the operator and the widget have words in.
  private languages(): HTMLElement | undefined {
    const codes = Object.keys(this.chat.settings?.texts ?? {});
    if (codes.length < 2) return undefined;
    const name = (code: string) =>
      new Intl.DisplayNames([code], { type: "language" }).of(code) ?? code;
    const select = h(
      "select",
      {
        "aria-label": this.texts.language,
        onchange: () => {
          this.chat.choose(select.value);
          this.speak(select.value);
        },
      },
      ...codes.map((code) =>
        h("option", { value: code, lang: code, selected: code === this.language }, name(code)),
      ),
    );
    return select;
  }

  // Light or dark, this way or that.
  private dress(): void {
    const { theme, direction, position } = this.options;
    const dark = theme === "dark" || (theme !== "light" && this.dark.matches);
    this.frame.className = `frame ${dark ? "dark" : "light"} ${this.inline ? "inline" : position}`;
    this.frame.dir = direction || (isRightToLeft(this.language) ? "rtl" : "ltr");
    this.host.className = this.options.page ? "inline page" : this.inline ? "inline" : "";
    if (this.options.page) document.documentElement.lang = this.language;
  }

  // The server's texts have come.
  private settled(): void {
    const { language } = this;
    this.learn(this.options.language);
    if (this.language !== language) return this.speak();
    const languages = this.languages();
    if (languages) this.title.after(languages);
    this.drawBegin();
  }

  private serverLanguage(): string {
    const { settings } = this.chat;
    return settings && !(this.language in settings.texts)
      ? settings.default_language
      : this.language;
  }

  private serverTexts(): ServerTexts | undefined {
    return this.chat.settings?.texts[this.serverLanguage()];
  }

  private drawBegin(): void {
    const texts = this.serverTexts();
    if (!texts) return;
    this.title.textContent = texts.title || this.texts.title;
    if (this.options.page) document.title = this.title.textContent;
    const body = this.body();
    body.update(texts.welcome);
    this.begin.replaceChildren(
      h("div", { class: "item bot" }, h("div", { class: "bubble" }, body.element)),
      h(
        "div",
        { class: "actions" },
        ...texts.quick_actions.map(({ label, message }) =>
          h("button", { type: "button", onclick: () => this.quick(message) }, label),
        ),
      ),
    );
  }

  private quick(message: string): void {
    void this.say(message);
    this.input.focus();
  }

  private submit(): void {
    const { value } = this.input;
    if (this.chat.busy || !value.trim() || this.chat.tooLong(value) > 0) return;
    this.input.value = "";
    this.measure();
    void this.say(value).then((sent) => {
      if (sent || this.input.value) return;
      this.input.value = value;
      this.measure();
    });
  }

  // As high as its text, within the limits of the style sheet.
  private measure(): void {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
    const over = this.chat?.tooLong(this.input.value) ?? 0;
    this.over.textContent = over > 0 ? fill(this.texts.too_long, over) : "";
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape" && !event.isComposing) {
      event.stopPropagation();
      if (this.chat.step?.kind === "restart") this.dismiss();
      else this.close();
    } else if (event.key === "Tab" && this.is_open && this.small.matches && !this.inline) {
      // It covers the page: the focus stays within.
      const all = [
        ...this.panel.querySelectorAll<HTMLElement>(
          "button, textarea, input, select, a, [tabindex='0']",
        ),
      ].filter((element) => element.checkVisibility?.() ?? true);
      const edge = event.shiftKey ? all[0] : all[all.length - 1];
      if (this.root.activeElement !== edge) return;
      event.preventDefault();
      (event.shiftKey ? all[all.length - 1] : all[0])?.focus();
    }
  }

  private focus(): void {
    const first = this.step && this.asked.querySelector<HTMLElement>("input, button");
    // On a phone the keyboard would cover what there is to read.
    if (first) first.focus();
    else if (window.matchMedia("(pointer: coarse)").matches) this.panel.focus();
    else this.input.focus();
  }

  private dismiss(): void {
    void this.chat.dismiss();
    this.focus();
  }

  private body(): Body {
    const allowed = (address: string) => isAllowedLink(address, this.options.link_hosts);
    return new Body(allowed, this.texts.new_window, () => this.follow());
  }

  // Only who scrolls back leaves the end: heights change by themselves as well.
  private scrolled(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    if (scrollHeight - scrollTop - clientHeight < 48) this.pinned = true;
    else if (scrollTop < this.scroll_top) this.pinned = false;
    this.scroll_top = scrollTop;
    this.newest.hidden = this.pinned;
  }

  private follow(): void {
    if (this.pinned) this.log.scrollTop = this.log.scrollHeight;
  }

  private drawList(): void {
    const { items } = this.chat;
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, { element }] of this.shown) {
      if (!keys.has(key)) {
        element.remove();
        this.shown.delete(key);
      }
    }
    let place: Element | null = this.list.firstElementChild;
    for (const item of items) {
      const known = this.shown.get(item.key);
      const { element } = known ?? this.make(item);
      if (element === place) place = place.nextElementSibling;
      else this.list.insertBefore(element, place);
      if (!known || known.item !== item) this.drawItem(item);
    }
    this.earlier.hidden = !this.chat.before;
    this.follow();
  }

  private make(item: Item): Shown {
    const body = this.body();
    const foot = h("div", { class: "foot" });
    const element = h(
      "div",
      { class: `item ${item.bot ? "bot" : "you"}` },
      h("span", { class: "hidden" }, item.bot ? this.texts.assistant : this.texts.you),
      h("div", { class: "bubble" }, body.element),
      foot,
    );
    const shown: Shown = { element, body, foot, item: { ...item, text: "", writing: false } };
    this.shown.set(item.key, shown);
    // What one has just sent is looked at.
    if (!item.bot) this.pinned = true;
    return shown;
  }

  private drawItem(item: Item): void {
    const shown = this.shown.get(item.key);
    if (!shown) return;
    const { item: old, body, element, foot } = shown;
    shown.item = item;
    element.classList.toggle("waiting", !!item.writing && !item.text);
    if (item.text !== old.text) {
      if (item.bot) body.update(item.text);
      else body.say(item.text);
    }
    if (item.writing && old.writing) return;
    if (old.writing && !item.writing)
      this.announce(fill(this.texts.answered, this.aloud(item.text)));
    else if (item.writing) this.announce(this.texts.thinking);
    const focused = foot.contains(this.root.activeElement) && this.root.activeElement?.className;
    foot.replaceChildren(...this.feet(item));
    if (focused) foot.querySelector<HTMLElement>(`.${focused}`)?.focus();
    if (item.problem && item.problem.text !== old.problem?.text) this.announce(this.problem(item));
    this.follow();
  }

  private feet(item: Item): HTMLElement[] {
    const { texts } = this;
    const feet: HTMLElement[] = [];
    const note = (text: string) => feet.push(h("span", { class: "note" }, text));
    if (item.problem) {
      const retry = h(
        "button",
        { class: "retry", type: "button", onclick: () => void this.chat.retry() },
        texts.retry,
      );
      feet.push(h("span", { class: "problem" }, this.problem(item)), retry);
      this.tick();
    }
    if (item.status === "truncated") note(texts.truncated);
    if (item.status === "cancelled") note(texts.stopped);
    if (item.text.length > longest) note(texts.shortened);
    if (this.chat.settings?.feedback && item.bot && item.id && !item.writing) {
      for (const value of ["up", "down"] as const) {
        const chosen = item.feedback === value;
        feet.push(
          h(
            "button",
            {
              class: value,
              type: "button",
              "aria-label": texts[value],
              title: texts[value],
              "aria-pressed": chosen ? "true" : "false",
              onclick: () => void this.chat.rate(item, chosen ? null : value),
            },
            icon("thumb"),
          ),
        );
      }
    }
    return feet;
  }

  private problem({ problem }: Item): string {
    if (!problem) return "";
    const seconds = Math.max(0, Math.ceil(((problem.until ?? 0) - Date.now()) / 1000));
    const { texts } = this;
    return fill(
      texts[problem.text],
      seconds > 90 ? fill(texts.minutes, Math.ceil(seconds / 60)) : fill(texts.seconds, seconds),
    );
  }

  // Problems count their seconds down, and can be tried again when there are none left.
  private tick(): void {
    const step = () => {
      let waiting = false;
      for (const { item, foot } of this.shown.values()) {
        if (!item.problem) continue;
        const left = (item.problem.until ?? 0) > Date.now();
        const words = foot.querySelector(".problem");
        if (words && left) words.textContent = this.problem(item);
        const retry = foot.querySelector<HTMLButtonElement>(".retry");
        if (retry) {
          retry.hidden = !this.chat.canRetry(item);
          retry.disabled = left;
        }
        waiting ||= left;
      }
      if (waiting) return;
      clearInterval(this.clock);
      this.clock = undefined;
    };
    this.clock ??= setInterval(step, 1000);
    // When the buttons are in their place.
    queueMicrotask(step);
  }

  private aloud(text: string): string {
    return plain(parseMarkdown(text.slice(0, longest_said)));
  }

  private announce(text: string): void {
    this.live.textContent = text;
  }

  private drawState(): void {
    const { chat, texts } = this;
    // While the chat is being made.
    if (!chat || !this.frame) return;
    this.panel.hidden = !this.is_open;
    this.frame.classList.toggle("open", this.is_open);
    if (!this.inline) this.panel.ariaModal = this.small.matches ? "true" : null;
    this.launcher.ariaExpanded = String(this.is_open);
    const { unread } = chat;
    this.badge.textContent = unread > 0 ? String(unread) : "";
    const label = this.is_open ? texts.close : texts.open;
    this.launcher.ariaLabel = unread > 0 ? `${label}, ${fill(texts.unread, unread)}` : label;
    this.launcher.title = label;
    this.launcher.firstElementChild?.replaceWith(icon(this.is_open ? "close" : "chat"));

    const banner = navigator.onLine ? chat.banner : "offline";
    const text = banner ? texts[banner] : "";
    if (this.banner.textContent !== text) this.banner.textContent = text;
    if (banner === "unreachable" && !chat.settings) {
      this.banner.append(
        " ",
        h("button", { type: "button", onclick: () => void chat.start() }, texts.retry),
      );
    }
    this.begin.classList.toggle("started", chat.items.length > 0);

    if (chat.returned) {
      this.input.value = chat.returned;
      chat.returned = "";
      this.measure();
    }
    const busy = !!chat.busy;
    const action = busy ? texts.stop : texts.send;
    if (this.send.title !== action) {
      this.send.title = this.send.ariaLabel = action;
      this.send.classList.toggle("stop", busy);
      this.send.replaceChildren(icon(busy ? "stop" : "send"));
    }
    if (this.step !== chat.step) this.drawStep(chat.step);
    this.drawNotice();
    this.tick();
  }

  private drawNotice(): void {
    const { consent } = this.chat;
    const words: (Node | string)[] = [this.texts.notice];
    if (consent?.at) {
      const day = new Intl.DateTimeFormat(this.language, { dateStyle: "medium" }).format(
        new Date(consent.at),
      );
      words.push(
        ` ${fill(this.texts.agreed, day)} `,
        h(
          "button",
          { class: "plain", type: "button", onclick: () => void this.chat.withdraw() },
          this.texts.withdraw,
        ),
      );
    }
    if (
      this.notice.textContent !==
      words.map((word) => (typeof word === "string" ? word : word.textContent)).join("")
    ) {
      this.notice.replaceChildren(...words);
    }
  }

  private drawStep(step: Step | undefined): void {
    const had_focus = !!this.root.activeElement;
    this.step = step;
    this.composer.hidden = !!step;
    this.asked.replaceChildren(...(step ? [this.form(step)] : []));
    this.follow();
    if (had_focus && this.is_open) this.focus();
  }

  private form(step: Step): HTMLElement {
    const { chat, texts } = this;
    const button = (label: string, main: boolean, onclick?: () => void) =>
      h(
        "button",
        { type: onclick ? "button" : "submit", class: main ? "main" : "", onclick },
        label,
      );
    if (step.kind === "detail") {
      const { field, error } = step;
      const input = h("input", {
        id: "detail",
        ...keyboards[field],
        dir: "auto",
        "aria-required": step.required ? "true" : null,
        "aria-invalid": error ? "true" : null,
        "aria-describedby": error ? "wrong" : null,
        value: step.value,
      });
      return h(
        "form",
        {
          novalidate: true,
          onsubmit: (event: Event) => {
            event.preventDefault();
            void chat.tell(input.value);
          },
        },
        h("label", { for: "detail" }, texts[field]),
        input,
        error && h("p", { id: "wrong", class: "problem", role: "alert" }, texts[error]),
        h(
          "div",
          { class: "choice" },
          button(texts.next, true),
          !step.required && button(texts.skip, false, () => void chat.tell(null)),
        ),
      );
    }
    const restart = step.kind === "restart";
    const { link } = chat.settings?.consent ?? {};
    const words = h(
      "p",
      { id: "asked", dir: "auto" },
      restart ? texts.restart_question : this.serverTexts()?.consent,
    );
    if (!restart && link) {
      words.append(
        " ",
        h(
          "a",
          { href: link, target: "_blank", rel: "noopener noreferrer" },
          texts.read_more,
          h("span", { class: "hidden" }, ` (${texts.new_window})`),
        ),
      );
    }
    return h(
      "div",
      { role: "group", "aria-labelledby": "asked" },
      words,
      h(
        "div",
        { class: "choice" },
        restart
          ? button(texts.restart, true, () => {
              chat.startOver();
              this.focus();
            })
          : button(texts.agree, true, () => void chat.agree(true)),
        restart
          ? button(texts.cancel, false, () => this.dismiss())
          : button(texts.decline, false, () => void chat.agree(false)),
      ),
    );
  }

  private async loadEarlier(): Promise<void> {
    const { log } = this;
    const first = this.list.firstElementChild;
    const top = () => first?.getBoundingClientRect().top ?? 0;
    const before = top();
    this.pinned = false;
    await this.chat.earlier();
    // What was seen stays where it was, also while the heights above it become known.
    const stay = (frames: number) => {
      log.scrollTop += top() - before;
      if (frames > 0) requestAnimationFrame(() => stay(frames - 1));
    };
    stay(3);
    if (this.earlier.hidden) log.focus();
  }

  private looked(): void {
    if (this.is_open && !document.hidden) this.chat.read();
  }

  // On the next page of the site it is as it was, in this tab.
  private remember(): void {
    try {
      sessionStorage.setItem(`twinchat:${this.api.base}`, this.is_open ? "open" : "");
    } catch {
      // Then it is closed.
    }
  }

  private wasOpen(): boolean {
    try {
      return !!sessionStorage.getItem(`twinchat:${this.api.base}`);
    } catch {
      return false;
    }
  }
}
