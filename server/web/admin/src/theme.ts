import { createStore } from "../../shared/store.ts";

export type Theme = "auto" | "light" | "dark";
const key = "twinchat-theme";
const system_dark = window.matchMedia("(prefers-color-scheme: dark)");

function stored(): Theme {
  try {
    const value = localStorage.getItem(key);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto"; // A browser that keeps nothing.
  }
}

export const theme = createStore<Theme>(stored());
// What is seen: drawings have to be made anew when it changes.
export const appearance = createStore<"light" | "dark">("light");

function apply(): void {
  const now = theme.get();
  const seen = now === "auto" ? (system_dark.matches ? "dark" : "light") : now;
  document.documentElement.dataset["theme"] = seen;
  appearance.set(seen);
}

export function setTheme(next: Theme): void {
  theme.set(next);
  try {
    localStorage.setItem(key, next);
  } catch {
    // It lasts until the page is closed.
  }
  apply();
}

export function startTheme(): void {
  system_dark.addEventListener("change", apply);
  apply();
}
