// How numbers and times are shown: as the reader's browser is set.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
// The server's days are UTC, and come as 2026-11-23.
const utc_day = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  timeZone: "UTC",
});
const whole = new Intl.NumberFormat();
const date_only = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const time_only = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const compact = new Intl.NumberFormat(undefined, {
  notation: "compact",
  maximumFractionDigits: 1,
});

export const formatDate = (iso: string) => date_only.format(new Date(iso));
export const formatTime = (iso: string) => time_only.format(new Date(iso));
export const formatClock = (iso: string) => clock.format(new Date(iso));
export const formatDay = (iso: string) => day.format(new Date(iso));
export const formatUtcDay = (iso_day: string) => utc_day.format(new Date(`${iso_day}T00:00:00Z`));
export const formatNumber = (value: number) => whole.format(value);
export const formatCompact = (value: number) => compact.format(value);

export const formatMoney = (value: number, currency: string) =>
  new Intl.NumberFormat(undefined, {
    style: "currency",
    currency,
    maximumFractionDigits: value !== 0 && Math.abs(value) < 1 ? 4 : 2,
  }).format(value);

// "2026-11-23 06:45:47 UTC"
export const formatUtc = (iso: string) =>
  `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;

export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${formatNumber(Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(seconds)} s`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${formatNumber(bytes)} B`;
  const [unit, size] = bytes < 1e6 ? (["kB", 1e3] as const) : (["MB", 1e6] as const);
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(bytes / size)} ${unit}`;
}

// "1 session", "2 sessions"
export const counted = (count: number, one: string, many = `${one}s`) =>
  `${formatNumber(count)} ${count === 1 ? one : many}`;

// Text in which characters that turn the direction of what follows are seen: "gnp.exe" cannot be made
// to look like "exe.png".
export const withDirectionsShown = (text: string) =>
  text.replace(
    /[\u202a-\u202e\u2066-\u2069]/g,
    (mark) => `[U+${mark.charCodeAt(0).toString(16).toUpperCase()}]`,
  );

// The UTC day of a moment, as the server names days.
export const dayOf = (moment: Date) => moment.toISOString().slice(0, 10);
