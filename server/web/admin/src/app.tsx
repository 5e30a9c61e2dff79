import type { ComponentChildren, VNode } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { useStore } from "../../shared/store.ts";
import { ApiError, can, expired, login, post, refreshLogIn } from "./api/client.ts";
import type { Permission } from "./api/types.ts";
import { flash } from "./messages.ts";
import { href, navigate, onLeave, useUrl } from "./router.ts";
import { Audit } from "./pages/audit.tsx";
import { SessionConversation } from "./pages/conversation.tsx";
import { Export } from "./pages/export.tsx";
import { Index } from "./pages/index.tsx";
import { LogInAgain, LogInPage } from "./pages/login.tsx";
import { AddMessage, MessageDetails, Messages } from "./pages/messages.tsx";
import { Password } from "./pages/password.tsx";
import { Person } from "./pages/person.tsx";
import { AddSession, SessionDetails, SessionHistory } from "./pages/session.tsx";
import { Sessions } from "./pages/sessions.tsx";
import { Tokens } from "./pages/tokens.tsx";
import { Turns } from "./pages/turns.tsx";
import { AddUser, UserDetails, Users } from "./pages/users.tsx";
import { setTheme, theme, type Theme } from "./theme.ts";
import { Failure, Loading, Page, Said } from "./ui/basics.tsx";
import { clearDrafts } from "./ui/form.tsx";

// With the charts, which are most of the code.
const Statistics = lazy(() =>
  import("./pages/statistics.tsx").then(({ Statistics }) => ({ default: Statistics })),
);

type Need = "superuser" | Permission;
interface Route {
  path: RegExp;
  needs: Need[];
  page: (id: string) => VNode;
}

const view_session: Need = "chat.view_chatsession";
const view_message: Need = "chat.view_message";

const routes: Route[] = [
  { path: /^\/$/, needs: [], page: () => <Index /> },
  { path: /^\/sessions\/$/, needs: [view_session], page: () => <Sessions leads={false} /> },
  { path: /^\/leads\/$/, needs: [view_session], page: () => <Sessions leads /> },
  { path: /^\/sessions\/add\/$/, needs: ["chat.add_chatsession"], page: () => <AddSession /> },
  {
    path: /^\/sessions\/([^/]+)\/$/,
    needs: [view_session],
    page: (id) => <SessionDetails session_id={id} />,
  },
  {
    path: /^\/sessions\/([^/]+)\/conversation\/$/,
    needs: [view_session, view_message],
    page: (id) => <SessionConversation session_id={id} />,
  },
  {
    path: /^\/sessions\/([^/]+)\/history\/$/,
    needs: [view_session],
    page: (id) => <SessionHistory session_id={id} />,
  },
  { path: /^\/messages\/$/, needs: [view_message], page: () => <Messages /> },
  { path: /^\/messages\/add\/$/, needs: ["chat.add_message"], page: () => <AddMessage /> },
  {
    path: /^\/messages\/(\d+)\/$/,
    needs: [view_message],
    page: (id) => <MessageDetails id={id} />,
  },
  { path: /^\/turns\/$/, needs: [view_session, view_message], page: () => <Turns /> },
  { path: /^\/statistics\/$/, needs: [view_session, view_message], page: () => <Statistics /> },
  { path: /^\/export\/$/, needs: [], page: () => <Export /> },
  { path: /^\/person\/$/, needs: [view_session, view_message], page: () => <Person /> },
  { path: /^\/users\/$/, needs: ["superuser"], page: () => <Users /> },
  { path: /^\/users\/add\/$/, needs: ["superuser"], page: () => <AddUser /> },
  { path: /^\/users\/(\d+)\/$/, needs: ["superuser"], page: (id) => <UserDetails id={id} /> },
  { path: /^\/audit\/$/, needs: ["superuser"], page: () => <Audit /> },
  { path: /^\/tokens\/$/, needs: [], page: () => <Tokens /> },
  { path: /^\/password\/$/, needs: [], page: () => <Password /> },
];

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function Current() {
  const { path } = useUrl();
  for (const route of routes) {
    const match = route.path.exec(path);
    if (!match) continue;
    if (!route.needs.every(can)) {
      return (
        <Page title="403 Forbidden" key="forbidden">
          <Failure
            error={
              new ApiError(403, { detail: "You do not have permission to view this page." }, null)
            }
          />
        </Page>
      );
    }
    return (
      <Suspense fallback={<Loading />} key={path}>
        {route.page(decoded(match[1] ?? ""))}
      </Suspense>
    );
  }
  return (
    <Page title="Page not found" key="not found">
      <Failure error={new ApiError(404, {}, null)} />
    </Page>
  );
}

interface Place {
  to: string;
  text: string;
  needs: Need[];
}

const places: { title: string; places: Place[] }[] = [
  {
    title: "Chat",
    places: [
      { to: "/sessions/", text: "Chat sessions", needs: [view_session] },
      { to: "/leads/", text: "Leads", needs: [view_session] },
      { to: "/messages/", text: "Messages", needs: [view_message] },
      { to: "/turns/", text: "Unanswered and flagged", needs: [view_session, view_message] },
    ],
  },
  {
    title: "Work",
    places: [
      { to: "/statistics/", text: "Statistics", needs: [view_session, view_message] },
      { to: "/export/", text: "Export", needs: [] },
      { to: "/person/", text: "One person's data", needs: [view_session, view_message] },
    ],
  },
  {
    title: "Administration",
    places: [
      { to: "/users/", text: "Users", needs: ["superuser"] },
      { to: "/audit/", text: "Audit log", needs: ["superuser"] },
      { to: "/tokens/", text: "API tokens", needs: [] },
      { to: "/password/", text: "Change password", needs: [] },
    ],
  },
];

const may_export = () => can(view_session) || can(view_message);

function Menu({ open }: { open: boolean }) {
  const { path } = useUrl();
  return (
    <nav id="menu" class={open ? "menu open" : "menu"} aria-label="Pages">
      {places.map(({ title, places }) => {
        const allowed = places.filter(
          ({ needs, to }) => needs.every(can) && (to !== "/export/" || may_export()),
        );
        return (
          allowed.length > 0 && (
            <section key={title}>
              <h2>{title}</h2>
              <ul>
                {allowed.map(({ to, text }) => (
                  <li key={to}>
                    <a
                      href={href(to)}
                      aria-current={path === to ? "page" : path.startsWith(to) ? "true" : undefined}
                    >
                      {text}
                    </a>
                  </li>
                ))}
              </ul>
            </section>
          )
        );
      })}
      <button
        type="button"
        class="everywhere"
        title="Ends all your log-ins, on every device"
        onClick={() => void leave("logout-everywhere/")}
      >
        Log out everywhere
      </button>
    </nav>
  );
}

const themes: Theme[] = ["auto", "light", "dark"];

function ThemeChoice() {
  const now = useStore(theme);
  return (
    <label class="theme">
      <span class="theme-word">Theme</span>
      <select value={now} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
        {themes.map((choice) => (
          <option key={choice} value={choice}>
            {{ auto: "Auto", light: "Light", dark: "Dark" }[choice]}
          </option>
        ))}
      </select>
    </label>
  );
}

async function leave(path: string): Promise<void> {
  try {
    await post(path);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401) return flash("error", error.message);
  }
  clearDrafts();
  // A fresh page: nothing that was shown stays in memory.
  location.assign(href("/login/"));
}

function Top({ open, toggle }: { open: boolean; toggle: () => void }) {
  const user = useStore(login)?.user;
  return (
    <header class="top">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <button
        type="button"
        class="menu-button"
        aria-expanded={open}
        aria-controls="menu"
        onClick={toggle}
      >
        Menu
      </button>
      <a class="brand" href={href("/")}>
        twinchat <span class="brand-more">admin</span>
      </a>
      <div class="top-end">
        <ThemeChoice />
        <span class="user">
          <Said text={user?.username ?? ""} />
        </span>
        <button type="button" onClick={() => void leave("logout/")}>
          Log out
        </button>
      </div>
    </header>
  );
}

function Frame({ children }: { children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  useEffect(() => onLeave(() => setOpen(false)), []);
  return (
    <>
      <Top open={open} toggle={() => setOpen(!open)} />
      <div class="body">
        <Menu open={open} />
        <main id="main" tabIndex={-1}>
          {children}
        </main>
      </div>
    </>
  );
}

export function App() {
  const now = useStore(login);
  const asked_again = useStore(expired);
  const { path, query } = useUrl();
  const [error, setError] = useState<ApiError | null>(null);
  const start = () => {
    setError(null);
    refreshLogIn().catch((failure: unknown) =>
      setError(failure instanceof ApiError ? failure : new ApiError(0, {}, null)),
    );
  };
  useEffect(start, []);
  const anonymous = now !== undefined && !now.user;
  useEffect(() => {
    if (!anonymous || path === "/login/") return;
    const text = query.toString();
    const next = encodeURIComponent(path + (text && `?${text}`));
    navigate(path === "/" && !text ? "/login/" : `/login/?next=${next}`, { replace: true });
  }, [anonymous, path]);

  if (!now) {
    return (
      <main class="login-page" id="main">
        <h1>twinchat admin</h1>
        {error ? <Failure error={error} retry={start} /> : <Loading />}
      </main>
    );
  }
  if (anonymous || path === "/login/") return <LogInPage />;
  return (
    <>
      <Frame>
        <Current />
      </Frame>
      {asked_again && <LogInAgain />}
    </>
  );
}
