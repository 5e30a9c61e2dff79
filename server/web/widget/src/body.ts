// The text of a message as elements. An answer grows word by word and may be very long: what is settled
// is made once, and the longer the rest takes to make, the less often that is done.
import { h } from "./dom.ts";
import { parseMarkdown, plain, settled, withoutTricks, type Node as Part } from "./markdown.ts";

// Longer answers are cut where they are shown.
export const longest = 200_000;

// Which links may be followed.
export type LinkRule = (address: string) => boolean;

function build(part: Part, allowed: LinkRule, new_window: string): globalThis.Node | string {
  if (typeof part === "string") return part;
  const { tag, children, href, start } = part;
  const inside = children.map((child) => build(child, allowed, new_window));
  if (tag === "a") {
    const shown = plain(children);
    // Words that look like the address of another host are not believed.
    const named = /^(?:https?:\/\/)?([\w-]+(?:\.[\w-]+)+)(?:[/:?#]\S*)?$/i.exec(shown.trim())?.[1];
    const host = `.${new URL(href as string).hostname}`;
    const honest = shown.trim() && (!named || host.endsWith(`.${named.toLowerCase()}`));
    const words = honest ? inside : [href as string];
    if (!allowed(href as string)) return h("span", {}, ...words);
    return h(
      "a",
      { href, title: href, target: "_blank", rel: "noopener noreferrer nofollow" },
      ...words,
      h("span", { class: "hidden" }, ` (${new_window})`),
    );
  }
  if (tag === "table") {
    return h("div", { class: "scroll", tabindex: 0 }, h("table", {}, h("tbody", {}, ...inside)));
  }
  const element = h(tag, { start: start !== 1 && start }, ...inside);
  // What scrolls by itself is reached by keyboard.
  if (tag === "pre") element.tabIndex = 0;
  return element;
}

export class Body {
  readonly element = h("div", { class: "body" });
  private readonly tail = h("div");
  private text = "";
  // What was made for good: so much of that text.
  private done = "";
  private due = false;
  private cost = 0;

  constructor(
    private readonly allowed: LinkRule,
    private readonly new_window: string,
    private readonly drawn: () => void,
  ) {
    this.element.append(this.tail);
  }

  // Plain text, as the visitor wrote it.
  say(text: string): void {
    this.element.replaceChildren(h("p", { dir: "auto" }, withoutTricks(text)));
  }

  update(text: string): void {
    this.text = text.slice(0, longest);
    if (this.due) return;
    if (this.cost === 0) return this.draw();
    this.due = true;
    const draw = () => this.draw();
    if (this.cost < 4) requestAnimationFrame(draw);
    else setTimeout(draw, this.cost * 4);
  }

  private draw(): void {
    this.due = false;
    const begin = performance.now();
    if (!this.text.startsWith(this.done)) {
      this.done = "";
      this.element.replaceChildren(this.tail);
    }
    const end = settled(this.text, this.done.length);
    const make = (text: string) =>
      parseMarkdown(text).map((part) => {
        const block = build(part, this.allowed, this.new_window);
        // Each block runs the way of its own first letter; a list is one.
        if (block instanceof HTMLElement && block.localName !== "pre") block.dir = "auto";
        return block;
      });
    // What is made anew may have had the focus.
    const places = () => [...this.element.querySelectorAll<HTMLElement>("a, [tabindex]")];
    const { activeElement } = this.element.getRootNode() as ShadowRoot;
    const focused = places().indexOf(activeElement as HTMLElement);
    if (end > this.done.length) {
      this.tail.before(...make(this.text.slice(this.done.length, end)));
      this.done = this.text.slice(0, end);
    }
    this.tail.replaceChildren(...make(this.text.slice(end)));
    if (focused >= 0) places()[focused]?.focus({ preventScroll: true });
    this.cost = performance.now() - begin + 0.1;
    this.drawn();
  }
}
