import { useState } from "preact/hooks";
import { get, post, remove } from "../api/client.ts";
import type { Token } from "../api/types.ts";
import { flash } from "../messages.ts";
import { Confirm, LoadedPart, Page, Said, Time, TimeOr } from "../ui/basics.tsx";
import { useData } from "../ui/data.ts";
import { Field, useSubmit } from "../ui/form.tsx";
import { type Column, Table } from "../ui/list.tsx";

export function Tokens() {
  const tokens = useData("tokens", (signal) => get<{ results: Token[] }>("tokens/", {}, signal));
  const [values, setValues] = useState({ name: "", days: "90" });
  const [made, setMade] = useState<(Token & { token: string }) | null>(null);
  const [removing, setRemoving] = useState<Token | null>(null);
  const submit = useSubmit();
  const columns: Column<Token>[] = [
    { title: "Name", cell: (row) => <Said text={row.name} /> },
    { title: "Created", class: "time", cell: (row) => <Time at={row.created_at} /> },
    {
      title: "Last used",
      class: "time",
      cell: (row) => <TimeOr at={row.last_used_at} none="never" />,
    },
    { title: "Ends", class: "time", cell: (row) => <TimeOr at={row.expires_at} none="never" /> },
    {
      title: "Revoke",
      cell: (row) => (
        <button
          type="button"
          class="link"
          aria-label={`Revoke ${row.name}`}
          onClick={() => setRemoving(row)}
        >
          Revoke
        </button>
      ),
    },
  ];
  return (
    <Page title="API tokens" crumbs={[{ text: "API tokens" }]}>
      <p>
        For scripts: a request with <code>Authorization: Bearer TOKEN</code> may do what you may.
      </p>
      {made && (
        <section class="made" aria-label="The new token">
          <p>
            The token <Said text={made.name} />. It is shown this once:
          </p>
          <p>
            <code class="token">{made.token}</code>
          </p>
          <button
            type="button"
            onClick={() =>
              navigator.clipboard?.writeText(made.token).then(
                () => flash("success", "Copied."),
                () => flash("warning", "The browser did not allow copying: select the text."),
              )
            }
          >
            Copy
          </button>
        </section>
      )}
      <LoadedPart of={tokens}>
        {({ results }) =>
          results.length > 0 ? (
            <Table
              label="API tokens"
              columns={columns}
              rows={results}
              id={(row) => String(row.id)}
            />
          ) : (
            <p class="empty">You have no tokens.</p>
          )
        }
      </LoadedPart>
      <form
        class="form"
        aria-label="New token"
        onSubmit={(event) => {
          event.preventDefault();
          void submit.run(async () => {
            const token = await post<Token & { token: string }>("tokens/", {
              name: values.name,
              days: values.days === "" ? null : Number(values.days),
            });
            setMade(token);
            setValues({ name: "", days: "90" });
            tokens.reload();
            flash("success", `The token ${token.name} was made.`);
          });
        }}
      >
        <h2>New token</h2>
        <Field
          label="Name"
          name="name"
          value={values.name}
          errors={submit.errors}
          help="What it is for."
          onInput={(name) => setValues({ ...values, name })}
        />
        <Field
          label="Days"
          name="days"
          type="number"
          min={1}
          max={3650}
          value={values.days}
          errors={submit.errors}
          help="Until it ends; empty for never."
          onInput={(days) => setValues({ ...values, days })}
        />
        <div class="buttons">
          <button type="submit" class="primary" disabled={submit.busy}>
            Make a token
          </button>
        </div>
      </form>
      {removing && (
        <Confirm
          title="Revoke this token?"
          action="Yes, revoke it"
          busy={submit.busy}
          onClose={() => setRemoving(null)}
          onConfirm={() =>
            void submit.run(async () => {
              const token = removing;
              setRemoving(null);
              await remove(`tokens/${token.id}/`);
              if (made?.id === token.id) setMade(null);
              tokens.reload();
              flash("success", `The token ${token.name} was revoked.`);
            })
          }
        >
          <p>
            Scripts that use <Said text={removing.name} /> stop working at once.
          </p>
        </Confirm>
      )}
    </Page>
  );
}
