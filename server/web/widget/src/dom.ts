// Elements by hand: nothing that a page's policy on scripts, styles or trusted types could object to.

type Child = Node | string | null | undefined | false;
type Props = Record<string, unknown>;

const set = (element: Element, name: string, value: unknown): void => {
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
  else if (value === true) element.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) {
    element.setAttribute(name, String(value));
  }
};

export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) set(element, key, value);
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

const drawings = {
  chat: "M4 4h16v12H9l-5 4z",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  restart: "M5 5v5h5M5.5 10a7 7 0 1 1-.5 4",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  thumb: "M7 11v9H4v-9zM7 11l4-7c2 0 3 1 2.5 3L13 10h5c1.5 0 2 1 1.8 2l-1.4 6c-.3 1.3-1 2-2.4 2H7",
};

export function icon(name: keyof typeof drawings): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  set(svg, "viewBox", "0 0 24 24");
  set(svg, "aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  set(path, "d", drawings[name]);
  svg.append(path);
  return svg;
}
