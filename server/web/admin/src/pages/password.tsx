import { useState } from "preact/hooks";
import { login, post } from "../api/client.ts";
import type { LogIn } from "../api/types.ts";
import { flash } from "../messages.ts";
import { Page } from "../ui/basics.tsx";
import { Field, useSubmit } from "../ui/form.tsx";

export const PasswordHelp = () => (
  <ul>
    <li>At least 8 characters.</li>
    <li>Not too like your other personal data.</li>
    <li>Not one that is commonly used.</li>
    <li>Not numbers alone.</li>
  </ul>
);

const empty = { old_password: "", new_password1: "", new_password2: "" };

export function Password() {
  const [values, setValues] = useState(empty);
  const submit = useSubmit();
  const set = (changes: Partial<typeof empty>) => setValues({ ...values, ...changes });
  return (
    <Page title="Change password" crumbs={[{ text: "Change password" }]}>
      <form
        class="form"
        aria-label="Change password"
        onSubmit={(event) => {
          event.preventDefault();
          void submit.run(async () => {
            login.set(await post<LogIn>("password/", values));
            setValues(empty);
            flash("success", "Your password was changed. Your log-ins elsewhere have ended.");
          });
        }}
      >
        {/* For password managers. */}
        <input
          class="hidden"
          name="username"
          autocomplete="username"
          value={login.get()?.user?.username ?? ""}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <Field
          label="Old password"
          name="old_password"
          type="password"
          autocomplete="current-password"
          value={values.old_password}
          errors={submit.errors}
          onInput={(old_password) => set({ old_password })}
        />
        <Field
          label="New password"
          name="new_password1"
          type="password"
          autocomplete="new-password"
          value={values.new_password1}
          errors={submit.errors}
          help={<PasswordHelp />}
          onInput={(new_password1) => set({ new_password1 })}
        />
        <Field
          label="New password again"
          name="new_password2"
          type="password"
          autocomplete="new-password"
          value={values.new_password2}
          errors={submit.errors}
          onInput={(new_password2) => set({ new_password2 })}
        />
        <div class="buttons">
          <button type="submit" class="primary" disabled={submit.busy}>
            Change my password
          </button>
        </div>
      </form>
    </Page>
  );
}
