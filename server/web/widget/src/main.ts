// <script src="https://host/widget.js"></script>: the widget, and window.twinchat for the page around.
import { Api, type Details } from "./api.ts";
import type { EventName } from "./chat.ts";
import { optionsOf } from "./options.ts";
import { type Texts, translate } from "./texts.ts";
import { View } from "./view.ts";

type Listener = (detail: unknown) => void;

declare global {
  interface Window {
    twinchat?: Twinchat;
  }
}

class Twinchat {
  readonly #view: View;
  readonly #listeners = new Map<EventName, Set<Listener>>();

  constructor(script: HTMLScriptElement) {
    const options = optionsOf(script);
    this.#view = new View(new Api(options.base), options, (name, detail) =>
      this.#tell(name, detail),
    );
  }

  get isOpen(): boolean {
    return this.#view.opened;
  }

  open(): void {
    this.#view.open();
  }

  close(): void {
    this.#view.close();
  }

  toggle(): void {
    if (this.isOpen) this.close();
    else this.open();
  }

  send(text: string): Promise<boolean> {
    return this.#view.say(String(text));
  }

  identify(details: Details): Promise<void> {
    return this.#view.identify(details);
  }

  startOver(): void {
    this.#view.chat.startOver();
  }

  setLanguage(language: string): void {
    this.#view.speak(language);
  }

  translate(language: string, texts: Partial<Texts>): void {
    translate(language, texts);
    this.#view.speak();
  }

  on(name: EventName, listener: Listener): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => this.off(name, listener);
  }

  off(name: EventName, listener: Listener): void {
    this.#listeners.get(name)?.delete(listener);
  }

  destroy(): void {
    this.#view.destroy();
    this.#listeners.clear();
    delete window.twinchat;
  }

  // After what is under way here: a listener may call anything, and may throw.
  #tell(name: EventName, detail: unknown): void {
    for (const listener of this.#listeners.get(name) ?? []) queueMicrotask(() => listener(detail));
  }
}

const script = document.currentScript;
// A page may load the script twice.
if (!window.twinchat && script instanceof HTMLScriptElement) {
  const begin = () => (window.twinchat ??= new Twinchat(script));
  if (document.readyState !== "loading" || !script.dataset["target"]) begin();
  else document.addEventListener("DOMContentLoaded", begin);
}
