import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { counted, formatNumber } from "../../../shared/format.ts";
import { get, type Query } from "../api/client.ts";
import type { DateFacets, List } from "../api/types.ts";
import { clearMessages, flash } from "../messages.ts";
import { href, navigate, url, useUrl, withQuery } from "../router.ts";
import { type Loaded, useData } from "./data.ts";

export const page_size = 100;
// A search over a large database comes in steps; after so many it asks whether to go on.
const steps_at_once = 20;

// The parameters of the page's own address that the list understands.
export function listQuery(names: readonly string[]): Record<string, string> {
  const { query } = url.get();
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = query.get(name);
    if (value) found[name] = value;
  }
  return found;
}

// One page of a list: as many requests as it takes to fill it.
async function loadPage<T>(path: string, query: Query, signal: AbortSignal): Promise<List<T>> {
  const first = await get<List<T>>(path, { ...query, limit: page_size }, signal);
  let page = first;
  for (let step = 1; page.next && page.results.length < page_size && step < steps_at_once; ++step) {
    const more = await get<List<T>>(
      path,
      { ...query, cursor: page.next, limit: page_size - page.results.length },
      signal,
    );
    page = { ...more, results: [...page.results, ...more.results] };
  }
  // A list that was gone through to its end is counted by that.
  if (first.next && !query["cursor"] && !page.next) {
    return { ...page, count: page.results.length, count_exact: true };
  }
  return { ...page, count: first.count, count_exact: first.count_exact };
}

type Count = Pick<List<unknown>, "count" | "count_exact">;
// Of the lists looked at, by what they are lists of: only a list's first page says it.
const counts = new Map<string, Count>();
export const forgetCounts = () => counts.clear();

export function useList<T>(path: string, query: Record<string, string>): Loaded<List<T>> {
  const cursor = useUrl().query.get("cursor");
  const wanted: Query = { ...query, cursor };
  return useData(`${path} ${JSON.stringify(wanted)}`, async (signal) => {
    const list = `${path} ${JSON.stringify(query)}`;
    const page = await loadPage<T>(path, wanted, signal);
    if (!cursor || !counts.has(list)) {
      // Asked for by itself where a page in the middle was linked to.
      const { count, count_exact } = cursor
        ? await get<List<T>>(path, { ...query, limit: 1 }, signal)
        : page;
      counts.set(list, { count, count_exact });
    }
    return { ...page, ...counts.get(list) };
  });
}

export function countText(list: List<unknown>, one: string, many = `${one}s`): string {
  if (list.count === null) return `${many} found`;
  if (!list.count_exact) return `more than ${formatNumber(list.count)} ${many}`;
  return counted(list.count, one, many);
}

interface SearchProps {
  label: string;
  help?: string;
  // The parameters that "clear all" takes away.
  filters: readonly string[];
  list: List<unknown> | null;
  loading: boolean;
  one: string;
  many?: string;
}

// The search field, and what was found: "1 result (130 total)".
export function Search({ label, help, filters, list, loading, one, many }: SearchProps) {
  const { query } = useUrl();
  const asked = query.get("q") ?? "";
  const [text, setText] = useState(asked);
  useEffect(() => setText(asked), [asked]);
  const filtered = filters.some((name) => query.get(name));
  const none = Object.fromEntries(filters.map((name) => [name, null]));
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        navigate(withQuery({ q: text.trim() }));
      }}
    >
      <label for="search" class="hidden">
        {label}
      </label>
      <input
        id="search"
        type="search"
        value={text}
        placeholder={label}
        dir="auto"
        maxLength={200}
        aria-describedby={help ? "search-help" : undefined}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit">Search</button>
      <span class="found" role="status">
        {loading ? (
          "Searching…"
        ) : list && filtered ? (
          <>
            {list.count === null
              ? countText(list, one, many)
              : list.count_exact
                ? counted(list.count, "result")
                : `more than ${formatNumber(list.count)} results`}{" "}
            <a href={href(withQuery(none))}>({formatNumber(list.total)} total)</a>
          </>
        ) : list ? (
          counted(list.total, one, many)
        ) : null}
      </span>
      {help && (
        <span class="help" id="search-help">
          {help}
        </span>
      )}
    </form>
  );
}

export const Incomplete = ({ list }: { list: List<unknown> | null }) =>
  list && !list.complete ? (
    <p class="note">
      The search index is still being built: older entries are missing from this list.
    </p>
  ) : null;

export interface Choice {
  value: string | null;
  text: string;
  count?: number | undefined;
}

interface FilterProps {
  title: string;
  name: string;
  choices: Choice[];
  // Other parameters that are the same filter and go away with a choice.
  clears?: string[];
}

// Counting stops there.
const most_counted = 10_000;

export function Filter({ title, name, choices, clears = [] }: FilterProps) {
  const now = useUrl().query.get(name);
  const others = Object.fromEntries(clears.map((other) => [other, null]));
  return (
    <section class="filter">
      <h3>{title}</h3>
      <ul>
        {choices.map(({ value, text, count }) => (
          <li key={text}>
            <a
              href={href(withQuery({ ...others, [name]: value }))}
              aria-current={now === value ? "true" : undefined}
            >
              <span>{text}</span>
              {count !== undefined && (
                <span class="count">
                  {formatNumber(count)}
                  {count === most_counted && value !== null ? "+" : ""}
                </span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface DateFilterProps {
  title: string;
  name: "created" | "updated";
  facets?: DateFacets | undefined;
}

// A choice, or the days from and to. The server's days are UTC.
export function DateFilter({ title, name, facets }: DateFilterProps) {
  const { query } = useUrl();
  const [from, to] = [`${name}_from`, `${name}_to`];
  const [range, setRange] = useState({ from: query.get(from) ?? "", to: query.get(to) ?? "" });
  useEffect(
    () => setRange({ from: query.get(from) ?? "", to: query.get(to) ?? "" }),
    [query.get(from), query.get(to)],
  );
  return (
    <div class="date-filter">
      <Filter
        title={title}
        name={name}
        clears={[from, to]}
        choices={[
          { value: null, text: "Any date", count: facets?.any },
          { value: "today", text: "Today", count: facets?.today },
          { value: "7days", text: "Past 7 days", count: facets?.["7days"] },
          { value: "month", text: "This month", count: facets?.month },
          { value: "year", text: "This year", count: facets?.year },
        ]}
      />
      <form
        class="range"
        onSubmit={(event) => {
          event.preventDefault();
          navigate(withQuery({ [name]: null, [from]: range.from, [to]: range.to }));
        }}
      >
        <label>
          From
          <input
            type="date"
            value={range.from}
            aria-label={`${title}: from`}
            onInput={(event) => setRange({ ...range, from: event.currentTarget.value })}
          />
        </label>
        <label>
          to
          <input
            type="date"
            value={range.to}
            aria-label={`${title}: to`}
            onInput={(event) => setRange({ ...range, to: event.currentTarget.value })}
          />
        </label>
        <button type="submit" aria-label={`${title}: apply the days`}>
          Apply
        </button>
      </form>
    </div>
  );
}

interface FiltersProps {
  // Parameters that count as filters here.
  names: readonly string[];
  children: ComponentChildren;
}

// On a phone they would fill the screen.
let filters_open = window.matchMedia("(min-width: 50rem)").matches;

export function Filters({ names, children }: FiltersProps) {
  const { query } = useUrl();
  const set = names.filter((name) => query.get(name));
  const [open, setOpen] = useState(filters_open);
  return (
    <details
      class="filters"
      open={open}
      onToggle={(event) => {
        filters_open = event.currentTarget.open;
        setOpen(filters_open);
      }}
    >
      <summary>
        <h2>Filter{set.length > 0 ? ` (${set.length})` : ""}</h2>
        <span class="help"> Days are UTC.</span>
      </summary>
      {set.length > 0 && (
        <a
          class="clear"
          href={href(withQuery(Object.fromEntries(names.map((name) => [name, null]))))}
        >
          ✕ Clear all filters
        </a>
      )}
      {children}
    </details>
  );
}

export interface Column<T> {
  title: string;
  // The server's name for the order by this column.
  sort?: string;
  class?: string;
  cell: (row: T) => ComponentChildren;
}

export interface Selection {
  chosen: ReadonlySet<string>;
  set: (chosen: ReadonlySet<string>) => void;
}

interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  name?: (row: T) => string;
  sort?: string;
  selection?: Selection | undefined;
}

type Sort = { name: string; descending: boolean }[];

export const parseSort = (text: string): Sort =>
  text
    .split(",")
    .filter(Boolean)
    .map((part) => ({ name: part.replace(/^-/, ""), descending: part.startsWith("-") }));

export const sortText = (sort: Sort) =>
  sort.map(({ name, descending }) => (descending ? "-" : "") + name).join(",");

// A column that orders already turns round in its place; another comes in front of the rest.
export function sortBy(sort: Sort, name: string): Sort {
  if (!sort.some((part) => part.name === name)) return [{ name, descending: false }, ...sort];
  return sort.map((part) => (part.name === name ? { name, descending: !part.descending } : part));
}

const goSorted = (sort: Sort) => navigate(withQuery({ sort: sortText(sort) }));

// On a phone each row is a card, its cells under their columns' titles.
export function Table<T>(props: TableProps<T>) {
  const { label, columns, rows, id, name, selection } = props;
  const sort = parseSort(props.sort ?? "");
  const all = rows.length > 0 && rows.every((row) => selection?.chosen.has(id(row)));
  const toggle = (key: string) => {
    const chosen = new Set(selection?.chosen);
    if (!chosen.delete(key)) chosen.add(key);
    selection?.set(chosen);
  };
  return (
    <div class="table-frame">
      <table role="table" class="list">
        <caption class="hidden">{label}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {selection && (
              <th role="columnheader" scope="col" class="choose">
                <input
                  type="checkbox"
                  aria-label="Choose all on this page"
                  checked={all}
                  onChange={() => selection.set(new Set(all ? [] : rows.map(id)))}
                />
              </th>
            )}
            {columns.map((column) => {
              const place = sort.findIndex((part) => part.name === column.sort);
              const part = sort[place];
              return (
                <th
                  key={column.title}
                  role="columnheader"
                  scope="col"
                  class={column.class}
                  aria-sort={part ? (part.descending ? "descending" : "ascending") : undefined}
                >
                  {column.sort ? (
                    <span class="sorter">
                      <button
                        type="button"
                        class="plain"
                        onClick={() => goSorted(sortBy(sort, column.sort ?? ""))}
                      >
                        {column.title}
                        {part && (
                          <span aria-hidden="true" class="arrow">
                            {part.descending ? "▼" : "▲"}
                            {sort.length > 1 && <sub>{place + 1}</sub>}
                          </span>
                        )}
                      </button>
                      {part && sort.length > 1 && (
                        <button
                          type="button"
                          class="plain unsort"
                          aria-label={`Do not sort by ${column.title}`}
                          title="Do not sort by this"
                          onClick={() => goSorted(sort.filter((other) => other !== part))}
                        >
                          ×
                        </button>
                      )}
                    </span>
                  ) : (
                    column.title
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr
              key={id(row)}
              role="row"
              class={selection?.chosen.has(id(row)) ? "chosen" : undefined}
            >
              {selection && (
                <td role="cell" class="choose">
                  <input
                    type="checkbox"
                    aria-label={`Choose ${name ? name(row) : id(row)}`}
                    checked={selection.chosen.has(id(row))}
                    onChange={() => toggle(id(row))}
                  />
                </td>
              )}
              {columns.map((column) => (
                <td key={column.title} role="cell" class={column.class} data-label={column.title}>
                  <div class="cell">{column.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// Pages by cursors. The cursors of the pages before this one are kept with the history entry.
export function Pager({ list }: { list: List<unknown> | null }) {
  const { path, query, trail } = useUrl();
  const cursor = query.get("cursor");
  const page = Number(query.get("page")) || 1;
  if (!list || (!list.next && !cursor)) return null;
  const at = (to: string | null, number: number) => {
    const next = new URLSearchParams(query);
    if (to) {
      next.set("cursor", to);
      next.set("page", String(number));
    } else {
      next.delete("cursor");
      next.delete("page");
    }
    const text = next.toString();
    return path + (text && `?${text}`);
  };
  const before = trail.at(-1);
  const pages = list.count !== null && list.count_exact ? Math.ceil(list.count / page_size) : null;
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled={!cursor} onClick={() => navigate(at(null, 1))}>
        First
      </button>
      <button
        type="button"
        disabled={before === undefined}
        onClick={() => navigate(at(before || null, page - 1), { trail: trail.slice(0, -1) })}
      >
        Previous
      </button>
      <span aria-live="polite">
        Page {formatNumber(page)}
        {pages ? ` of ${formatNumber(pages)}` : ""}
      </span>
      <button
        type="button"
        disabled={!list.next}
        onClick={() => navigate(at(list.next, page + 1), { trail: [...trail, cursor ?? ""] })}
      >
        Next
      </button>
    </nav>
  );
}

const nothing_chosen =
  "Items must be selected in order to perform actions on them. No items have been changed.";

interface BulkProps {
  label: string;
  action: string;
  list: List<unknown>;
  shown: number;
  selection: Selection;
  all: boolean;
  setAll: (all: boolean) => void;
  onGo: () => void;
  one: string;
}

// What can be done with the chosen rows, the whole page, or all that match.
export function Bulk({ label, action, list, shown, selection, all, setAll, onGo, one }: BulkProps) {
  const chosen = selection.chosen.size;
  const [what, setWhat] = useState("");
  return (
    <form
      class="bulk"
      onSubmit={(event) => {
        event.preventDefault();
        clearMessages();
        if (!what) flash("warning", "No action selected.");
        else if (!all && chosen === 0) flash("warning", nothing_chosen);
        else onGo();
      }}
    >
      <label>
        Action:{" "}
        <select value={what} onChange={(event) => setWhat(event.currentTarget.value)}>
          <option value="">– choose –</option>
          <option value="delete">{action}</option>
        </select>
      </label>
      <button type="submit">Go</button>
      <span role="status" aria-label={label}>
        {all
          ? `All ${list.count === null ? "" : formatNumber(list.count)} chosen`
          : `${formatNumber(chosen)} of ${formatNumber(shown)} chosen`}
      </span>
      {!all && chosen > 0 && chosen === shown && list.count_exact && (list.count ?? 0) > shown && (
        <button type="button" class="link" onClick={() => setAll(true)}>
          Choose all {counted(list.count ?? 0, one)} that match
        </button>
      )}
      {(all || chosen > 0) && (
        <button
          type="button"
          class="link"
          onClick={() => {
            setAll(false);
            selection.set(new Set());
          }}
        >
          Clear the choice
        </button>
      )}
    </form>
  );
}
