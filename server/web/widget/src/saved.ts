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
  // For pages that may not keep anything.
  private memory = "{}";

  constructor(private readonly name: string) {}

  load(): Saved {
    try {
      return JSON.parse(this.text());
    } catch {
      return {};
    }
  }

  save(saved: Saved): void {
    this.memory = JSON.stringify(saved);
    try {
      localStorage.setItem(this.name, this.memory);
    } catch {
      // Then it lasts as long as the page.
    }
  }

  private text(): string {
    try {
      return localStorage.getItem(this.name) ?? "{}";
    } catch {
      return this.memory;
    }
  }
}
