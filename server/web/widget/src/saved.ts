// What outlives the page: for one server, in the host page's localStorage, never a cookie. Of what a
// visitor wrote only the question that has no answer yet is kept.
import type { FieldName } from "./api.ts";

export interface Pending {
  // The idempotency key: the question may be sent again, and is asked once.
  key: string;
  text: string;
  // The visitor decides when it is tried again.
  failed?: boolean;
}

export interface Saved {
  // How often the visitor has started over.
  round?: number;
  session?: string;
  // What was agreed to; without `at` the server has not been told.
  consent?: { version: string; language: string; at?: string };
  // The version that was declined.
  declined?: string;
  // Details that were given or skipped.
  asked?: FieldName[];
  pending?: Pending;
  unread?: number;
  // What was chosen in place of the page's.
  tongue?: string;
}

export class Storage {
  // What could not be kept: the page may not, or has filled up what there is for all of it.
  private memory: string | undefined;

  constructor(private readonly name: string) {}

  load(): Saved {
    try {
      return JSON.parse(this.text());
    } catch {
      return {};
    }
  }

  save(saved: Saved): void {
    const text = JSON.stringify(saved);
    try {
      localStorage.setItem(this.name, text);
      this.memory = undefined;
    } catch {
      // Then it lasts as long as the page.
      this.memory = text;
    }
  }

  private text(): string {
    if (this.memory !== undefined) return this.memory;
    try {
      return localStorage.getItem(this.name) ?? "{}";
    } catch {
      return "{}";
    }
  }
}
