import { useEffect, useRef, useState } from "preact/hooks";
import { counted } from "../../../shared/format.ts";
import { ApiError, expired, logIn, login } from "../api/client.ts";
import { href, navigate, safeNext, url, useUrl } from "../router.ts";
import { Dialog } from "../ui/basics.tsx";
import { clearDrafts } from "../ui/form.tsx";

interface LogInFormProps {
  onDone: () => void;
}

function LogInForm({ onDone }: LogInFormProps) {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const submit = async () => {
    setBusy(true);
    setError("");
    try {
      const before = login.get()?.user;
      const now = await logIn(username, password);
      // Somebody else: nothing of the one before may stay on the page.
      if (before && before.id !== now.user?.id) {
        clearDrafts();
        location.reload();
      }
      login.set(now);
      onDone();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      const wait = failure.retry_after;
      setError(
        failure.status === 429 && wait
          ? `Too many failed log-ins. Try again in ${wait < 120 ? counted(wait, "second") : counted(Math.ceil(wait / 60), "minute")}.`
          : failure.message,
      );
      setPassword("");
      first.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="login"
      aria-label="Log in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {error && (
        <p class="message error" role="alert">
          {error}
        </p>
      )}
      <label for="username">User name</label>
      <input
        id="username"
        name="username"
        ref={first}
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        required
        value={username}
        onInput={(event) => setUsername(event.currentTarget.value)}
      />
      <label for="password">Password</label>
      <input
        id="password"
        name="password"
        type="password"
        autocomplete="current-password"
        required
        value={password}
        onInput={(event) => setPassword(event.currentTarget.value)}
      />
      <button type="submit" class="primary" disabled={busy}>
        {busy ? "Logging in…" : "Log in"}
      </button>
    </form>
  );
}

export function LogInPage() {
  const { query } = useUrl();
  useEffect(() => {
    document.title = "Log in · twinchat admin";
  }, []);
  return (
    <main class="login-page" id="main">
      <h1>twinchat admin</h1>
      <LogInForm onDone={() => navigate(safeNext(query.get("next")), { replace: true })} />
    </main>
  );
}

// Over a page whose log-in has ended. The page stays as it is below, hidden, with all that was typed.
export function LogInAgain() {
  const { path, query } = url.get();
  const text = query.toString();
  const next = encodeURIComponent(path + (text && `?${text}`));
  return (
    <Dialog title="Your log-in has ended" class="again" onClose={() => undefined}>
      <p>Log in again to go on where you were. Nothing that you typed is lost.</p>
      <LogInForm onDone={() => expired.set(false)} />
      <p>
        <a href={href(`/login/?next=${next}`)} target="_self">
          Leave this page and log in as somebody else
        </a>
      </p>
    </Dialog>
  );
}
