// What the page around says in the script's data attributes.
import { isSpoken } from "./texts.ts";

export interface Options {
  // Of the server: the folder that the script came from.
  base: string;
  // Empty: as the page, the browser, or the server has it.
  language: string;
  direction: string;
  theme: string;
  position: string;
  // Where to be a part of the page; empty: a button at its edge.
  target: string;
  // It is the whole page.
  page: boolean;
  launcher: boolean;
  open: boolean;
  // Hosts that links may lead to; empty: any.
  link_hosts: string[];
}

export function optionsOf(script: HTMLScriptElement): Options {
  const { language, direction, theme, position, target, page, launcher, open, linkHosts } =
    script.dataset;
  return {
    base: new URL(".", script.src).href,
    language: language ?? "",
    direction: direction ?? "",
    theme: theme ?? "auto",
    position: position ?? "end",
    target: target ?? "",
    page: page !== undefined,
    launcher: launcher !== "none",
    open: open !== undefined && open !== "false",
    link_hosts: (linkHosts ?? "")
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean),
  };
}

// "hi" of "hi-IN".
const basic = (language: string): string => language.toLowerCase().split("-")[0] ?? "";

// The first language that the widget has words in: what was chosen, the page's or, for the page at /,
// the browser's.
export function languageOf(options: Options, fallback = "en"): string {
  const around =
    options.page || options.language === "auto"
      ? navigator.languages
      : [document.documentElement.lang];
  const wanted = [options.language, ...around, fallback];
  return wanted.map(basic).find((language) => language && isSpoken(language)) ?? "en";
}

// A host of the list, or one below it; without a list any.
export function isAllowedLink(address: string, hosts: string[]): boolean {
  if (hosts.length === 0) return true;
  const { hostname } = new URL(address);
  return hosts.some(
    (host) => hostname === host || hostname.endsWith(`.${host.replace(/^\./, "")}`),
  );
}
