import { useState } from "preact/hooks";
import { login, post } from "../api/client.ts";
import type { LogIn } from "../api/types.ts";
import { flash } from "../messages.ts";
import { Page } from "../ui/basics.tsx";
import { Field, NewPassword, useSubmit } from "../ui/form.tsx";

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
        <NewPassword
          label="New password"
          names={["new_password1", "new_password2"]}
          values={values}
          errors={submit.errors}
          set={(name, value) => set({ [name]: value })}
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
