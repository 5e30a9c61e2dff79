import { createStore } from "../../shared/store.ts";
import { lastSeen, navigate, onLeave } from "./router.ts";

// What is told after an action: green, yellow or red.
export interface FlashMessage {
  id: number;
  kind: "success" | "warning" | "error";
  text: string;
}

export const messages = createStore<FlashMessage[]>([]);
let last_id = 0;

export function flash(kind: FlashMessage["kind"], text: string): void {
  messages.set([...messages.get(), { id: ++last_id, kind, text }]);
}

export function dismiss(id: number): void {
  messages.set(messages.get().filter((message) => message.id !== id));
}

// Goes to another page, a list as it was last seen, and tells there what was done.
export function navigateWith(to: string, kind: FlashMessage["kind"], text: string): void {
  navigate(lastSeen(to));
  messages.set([]);
  flash(kind, text);
}

export const clearMessages = () => messages.set([]);

onLeave(clearMessages);
