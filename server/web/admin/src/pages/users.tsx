import { useState } from "preact/hooks";
import { get, login, patch, post, remove } from "../api/client.ts";
import type { Permission, User } from "../api/types.ts";
import { flash, navigateWith } from "../messages.ts";
import { href, lastSeen, navigate, useUrl } from "../router.ts";
import {
  ButtonLink,
  Confirm,
  LoadedPart,
  Nothing,
  Page,
  Said,
  Time,
  TimeOr,
  Yes,
} from "../ui/basics.tsx";
import { useData } from "../ui/data.ts";
import {
  Check,
  Field,
  NewPassword,
  Restored,
  SaveButtons,
  SaveForm,
  Shown,
  useDraft,
  useSubmit,
} from "../ui/form.tsx";
import { type Column, listQuery, Pager, Search, Table, useList } from "../ui/list.tsx";

const columns: Column<User>[] = [
  {
    title: "User name",
    cell: (row) => (
      <a href={href(`/users/${row.id}/`)}>
        <Said text={row.username} />
      </a>
    ),
  },
  { title: "E-mail", cell: (row) => (row.email ? <Said text={row.email} /> : <Nothing />) },
  {
    title: "Name",
    cell: (row) =>
      row.first_name || row.last_name ? (
        <Said text={`${row.first_name} ${row.last_name}`} />
      ) : (
        <Nothing />
      ),
  },
  { title: "Active", cell: (row) => <Yes is={row.is_active} /> },
  { title: "Staff", cell: (row) => <Yes is={row.is_staff} /> },
  { title: "Superuser", cell: (row) => <Yes is={row.is_superuser} /> },
  {
    title: "Last log-in",
    class: "time",
    cell: (row) => <TimeOr at={row.last_login} none="never" />,
  },
];

export function Users() {
  useUrl();
  const list = useList<User>("users/", listQuery(["q"]));
  return (
    <Page
      wide
      title="Users"
      crumbs={[{ text: "Users" }]}
      actions={<ButtonLink to="/users/add/">Add user</ButtonLink>}
    >
      <Search
        label="Search name and e-mail"
        filters={["q"]}
        list={list.data}
        loading={list.loading}
        one="user"
      />
      <LoadedPart of={list}>
        {(list) => (
          <>
            {list.results.length > 0 ? (
              <Table
                label="Users"
                columns={columns}
                rows={list.results}
                id={(row) => String(row.id)}
              />
            ) : (
              <p class="empty">No users here.</p>
            )}
            <Pager list={list} />
          </>
        )}
      </LoadedPart>
    </Page>
  );
}

const models = [
  { name: "chatsession", text: "chat session" },
  { name: "message", text: "message" },
] as const;
const verbs = ["view", "add", "change", "delete"] as const;

interface RightsProps {
  values: { is_staff: boolean; is_superuser: boolean; permissions: Permission[] };
  set: (changes: Partial<RightsProps["values"]>) => void;
}

function Rights({ values, set }: RightsProps) {
  const toggle = (permission: Permission, on: boolean) =>
    set({
      permissions: on
        ? [...values.permissions, permission]
        : values.permissions.filter((other) => other !== permission),
    });
  return (
    <>
      <fieldset>
        <legend>Status</legend>
        <Check
          label="Staff"
          name="is_staff"
          help="May log in here."
          checked={values.is_staff}
          onChange={(is_staff) => set({ is_staff })}
        />
        <Check
          label="Superuser"
          name="is_superuser"
          help="May do everything, and alone sees users and the audit log."
          checked={values.is_superuser}
          onChange={(is_superuser) => set({ is_superuser })}
        />
      </fieldset>
      <fieldset>
        <legend>Permissions</legend>
        {values.is_superuser && <p class="help">A superuser has them all.</p>}
        <div class="permissions">
          {models.map((model) => (
            <div key={model.name}>
              {verbs.map((verb) => {
                const permission: Permission = `chat.${verb}_${model.name}`;
                return (
                  <Check
                    key={verb}
                    label={`Can ${verb} ${model.text}`}
                    name={permission}
                    disabled={values.is_superuser}
                    checked={values.is_superuser || values.permissions.includes(permission)}
                    onChange={(on) => toggle(permission, on)}
                  />
                );
              })}
            </div>
          ))}
        </div>
        <p class="help">
          Changing and deleting need viewing as well. Deleting sessions needs deleting messages.
        </p>
      </fieldset>
    </>
  );
}

const new_user = {
  username: "",
  password1: "",
  password2: "",
  email: "",
  is_staff: true,
  is_superuser: false,
  permissions: ["chat.view_chatsession", "chat.view_message"] as Permission[],
};

export function AddUser() {
  const [values, setValues] = useState(new_user);
  const submit = useSubmit();
  const set = (changes: Partial<typeof new_user>) => setValues({ ...values, ...changes });
  return (
    <Page title="Add user" crumbs={[{ text: "Users", to: "/users/" }, { text: "Add user" }]}>
      <SaveForm
        label="New user"
        onSave={(stay) =>
          void submit.run(async () => {
            const made = await post<User>("users/", values);
            const text = `The user ${made.username} was added.`;
            navigateWith(stay ? `/users/${made.id}/` : "/users/", "success", text);
          })
        }
      >
        <Field
          label="User name"
          name="username"
          value={values.username}
          errors={submit.errors}
          maxLength={150}
          onInput={(username) => set({ username })}
        />
        <Field
          label="E-mail"
          name="email"
          value={values.email}
          errors={submit.errors}
          onInput={(email) => set({ email })}
        />
        <NewPassword
          label="Password"
          names={["password1", "password2"]}
          values={values}
          errors={submit.errors}
          set={(name, value) => set({ [name]: value })}
        />
        <Rights values={values} set={set} />
        <div class="buttons">
          <SaveButtons busy={submit.busy} />
          <button type="button" class="end" onClick={() => navigate(lastSeen("/users/"))}>
            Cancel
          </button>
        </div>
      </SaveForm>
    </Page>
  );
}

const formOf = (user: User) => ({
  username: user.username,
  email: user.email,
  first_name: user.first_name,
  last_name: user.last_name,
  is_active: user.is_active,
  is_staff: user.is_staff,
  is_superuser: user.is_superuser,
  permissions: [...user.permissions].sort(),
});

export function UserDetails({ id }: { id: string }) {
  const user = useData(`user ${id}`, (signal) =>
    get<User>(`users/${encodeURIComponent(id)}/`, {}, signal),
  );
  const title = user.data?.username ?? `User ${id}`;
  return (
    <Page title={title} crumbs={[{ text: "Users", to: "/users/" }, { text: title }]}>
      <LoadedPart of={user}>
        {(data) => (
          <>
            <ChangeUser user={data} onSaved={user.replace} />
            <SetPassword user={data} />
          </>
        )}
      </LoadedPart>
    </Page>
  );
}

function ChangeUser({ user, onSaved }: { user: User; onSaved: (user: User) => void }) {
  const draft = useDraft(`user ${user.id}`, formOf(user));
  const submit = useSubmit();
  const [asking, setAsking] = useState(false);
  const { values, set } = draft;
  const oneself = login.get()?.user?.id === user.id;
  return (
    <SaveForm
      label="User"
      onSave={(stay) =>
        void submit.run(async () => {
          const saved = await patch<User>(`users/${user.id}/`, values);
          draft.reset(formOf(saved));
          const text = `The user ${saved.username} was changed.`;
          if (!stay) return navigateWith("/users/", "success", text);
          onSaved(saved);
          flash("success", `${text} You may edit it again below.`);
        })
      }
    >
      <Restored draft={draft} discard={() => draft.reset(formOf(user))} />
      <Field
        label="User name"
        name="username"
        value={values.username}
        errors={submit.errors}
        maxLength={150}
        onInput={(username) => set({ username })}
      />
      <Field
        label="First name"
        name="first_name"
        value={values.first_name}
        errors={submit.errors}
        onInput={(first_name) => set({ first_name })}
      />
      <Field
        label="Last name"
        name="last_name"
        value={values.last_name}
        errors={submit.errors}
        onInput={(last_name) => set({ last_name })}
      />
      <Field
        label="E-mail"
        name="email"
        value={values.email}
        errors={submit.errors}
        onInput={(email) => set({ email })}
      />
      <Check
        label="Active"
        name="is_active"
        help="Take this away in place of deleting a user."
        checked={values.is_active}
        onChange={(is_active) => set({ is_active })}
      />
      <Rights
        values={values}
        set={(changes) =>
          set(
            changes.permissions
              ? { ...changes, permissions: [...changes.permissions].sort() }
              : changes,
          )
        }
      />
      <Shown label="Last log-in">
        <TimeOr at={user.last_login} none="never" />
      </Shown>
      <Shown label="Joined">
        <Time at={user.date_joined} />
      </Shown>
      <div class="buttons">
        <SaveButtons busy={submit.busy} />
        {!oneself && (
          <button type="button" class="danger end" onClick={() => setAsking(true)}>
            Delete
          </button>
        )}
      </div>
      {asking && (
        <Confirm
          title="Delete this user?"
          action="Yes, delete the user"
          busy={submit.busy}
          onClose={() => setAsking(false)}
          onConfirm={() =>
            void submit.run(async () => {
              setAsking(false);
              await remove(`users/${user.id}/`);
              draft.reset(values);
              navigateWith("/users/", "success", `The user ${user.username} was deleted.`);
            })
          }
        >
          <p>
            With <Said text={user.username} /> go the user's log-ins, API tokens and permissions.
            The audit log keeps what the user did.
          </p>
        </Confirm>
      )}
    </SaveForm>
  );
}

function SetPassword({ user }: { user: User }) {
  const [values, setValues] = useState({ password1: "", password2: "" });
  const submit = useSubmit();
  return (
    <form
      class="form"
      aria-label="Set password"
      onSubmit={(event) => {
        event.preventDefault();
        void submit.run(async () => {
          await post(`users/${user.id}/password/`, values);
          setValues({ password1: "", password2: "" });
          flash("success", `The password of ${user.username} was set. Their log-ins have ended.`);
        });
      }}
    >
      <h2>Set password</h2>
      <p class="help">Passwords are kept as hashes: there is no way to see one.</p>
      <NewPassword
        label="New password"
        names={["password1", "password2"]}
        values={values}
        errors={submit.errors}
        set={(name, value) => setValues({ ...values, [name]: value })}
      />
      <div class="buttons">
        <button type="submit" disabled={submit.busy}>
          Set password
        </button>
      </div>
    </form>
  );
}
