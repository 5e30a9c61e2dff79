import { useEffect, useState } from "preact/hooks";
import type { AuditEntry } from "../api/types.ts";
import { navigate, useUrl, withQuery } from "../router.ts";
import { actionText, audit_actions, AuditTable } from "../ui/audit.tsx";
import { LoadedPart, Page } from "../ui/basics.tsx";
import { DateFilter, Filter, Filters, listQuery, Pager, useList } from "../ui/list.tsx";

const names = ["user", "action", "object", "created", "created_from", "created_to"] as const;

export function Audit() {
  const { query } = useUrl();
  const list = useList<AuditEntry>("audit/", listQuery(names));
  const [user, setUser] = useState(query.get("user") ?? "");
  const [object, setObject] = useState(query.get("object") ?? "");
  useEffect(() => {
    setUser(query.get("user") ?? "");
    setObject(query.get("object") ?? "");
  }, [query]);
  return (
    <Page wide title="Audit log" crumbs={[{ text: "Audit log" }]}>
      <form
        class="search"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          navigate(withQuery({ user: user.trim(), object: object.trim() }));
        }}
      >
        <label>
          User <input value={user} onInput={(event) => setUser(event.currentTarget.value)} />
        </label>
        <label>
          Object{" "}
          <input
            value={object}
            placeholder="Its id"
            onInput={(event) => setObject(event.currentTarget.value)}
          />
        </label>
        <button type="submit">Search</button>
      </form>
      <div class="with-filters">
        <LoadedPart of={list}>
          {(list) => (
            <>
              {list.results.length > 0 ? (
                <AuditTable entries={list.results} />
              ) : (
                <p class="empty">No entries here.</p>
              )}
              <Pager list={{ ...list, count: list.count ?? null }} />
            </>
          )}
        </LoadedPart>
        <Filters names={names}>
          <Filter
            title="By action"
            name="action"
            choices={[
              { value: null, text: "All" },
              ...audit_actions.map((action) => ({ value: action, text: actionText(action) })),
            ]}
          />
          <DateFilter title="By when" name="created" />
        </Filters>
      </div>
    </Page>
  );
}
