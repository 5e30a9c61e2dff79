import type { ComponentChildren } from "preact";
import { formatNumber } from "../../../shared/format.ts";
import { can, get, login } from "../api/client.ts";
import type { Overview } from "../api/types.ts";
import { href } from "../router.ts";
import { actionText, AuditObject } from "../ui/audit.tsx";
import { LoadedPart, Page, Said, Time } from "../ui/basics.tsx";
import { useData } from "../ui/data.ts";

interface TileProps {
  to: string;
  value: number | null;
  text: string;
  kind?: string;
}

const Tile = ({ to, value, text, kind = "" }: TileProps) =>
  value === null ? null : (
    <a class={`tile ${kind}`} href={href(to)}>
      <span class="value">
        {formatNumber(value)}
        {value === 10_000 && kind ? "+" : ""}
      </span>
      <span class="what">{text}</span>
    </a>
  );

interface ModelProps {
  name: string;
  to: string;
  view: boolean;
  add: boolean;
  children: ComponentChildren;
}

const Model = ({ name, to, view, add, children }: ModelProps) =>
  view || add ? (
    <tr>
      <th scope="row">{view ? <a href={href(to)}>{name}</a> : name}</th>
      <td>{children}</td>
      <td>
        {add && (
          <a href={href(`${to}add/`)} aria-label={`Add to ${name}`}>
            + Add
          </a>
        )}
      </td>
      <td>
        {view && (
          <a href={href(to)} aria-label={`View ${name}`}>
            View
          </a>
        )}
      </td>
    </tr>
  ) : null;

export function Index() {
  const overview = useData("overview", (signal) => get<Overview>("overview/", {}, signal));
  const both = can("chat.view_chatsession") && can("chat.view_message");
  const user = login.get()?.user;
  return (
    <Page title={`Welcome, ${user?.first_name || user?.username || ""}`}>
      <LoadedPart of={overview}>
        {(data) => (
          <>
            <div class="tiles">
              {both && (
                <>
                  <Tile
                    to="/turns/?status=unanswered&created=7days"
                    value={data.unanswered}
                    text="unanswered in 7 days"
                    kind={data.unanswered ? "bad" : "good"}
                  />
                  <Tile
                    to="/turns/?status=flagged&created=7days"
                    value={data.flagged}
                    text="flagged in 7 days"
                    kind={data.flagged ? "warn" : "good"}
                  />
                  <Tile
                    to="/turns/?feedback=down&created=7days"
                    value={data.disliked}
                    text="thumbs down in 7 days"
                    kind={data.disliked ? "warn" : "good"}
                  />
                </>
              )}
              <Tile to="/leads/" value={data.totals.leads} text="leads" />
              <Tile to="/sessions/" value={data.totals.sessions} text="sessions" />
              <Tile to="/messages/" value={data.totals.messages} text="messages" />
            </div>
            <div class="columns">
              <section>
                <h2>Chat</h2>
                <table class="models">
                  <caption class="hidden">Models</caption>
                  <tbody>
                    <Model
                      name="Chat sessions"
                      to="/sessions/"
                      view={can("chat.view_chatsession")}
                      add={can("chat.add_chatsession")}
                    >
                      {data.totals.sessions !== null && formatNumber(data.totals.sessions)}
                    </Model>
                    <Model
                      name="Messages"
                      to="/messages/"
                      view={can("chat.view_message")}
                      add={can("chat.add_message")}
                    >
                      {data.totals.messages !== null && formatNumber(data.totals.messages)}
                    </Model>
                    <Model name="Users" to="/users/" view={can("superuser")} add={can("superuser")}>
                      {""}
                    </Model>
                  </tbody>
                </table>
                {user && !user.is_superuser && user.permissions.length === 0 && (
                  <p class="empty">You do not have permission to view or edit anything.</p>
                )}
              </section>
              <section>
                <h2>Recent actions</h2>
                {data.recent_actions.length === 0 && <p class="empty">None yet.</p>}
                <ul class="recent">
                  {data.recent_actions.map((entry) => (
                    <li key={entry.id}>
                      <span class={`action did-${entry.action}`}>{actionText(entry.action)}</span>{" "}
                      <AuditObject entry={entry} />
                      {entry.detail && (
                        <>
                          {" "}
                          (<Said text={entry.detail} />)
                        </>
                      )}{" "}
                      <small>
                        <Time at={entry.at} />
                      </small>
                    </li>
                  ))}
                </ul>
              </section>
            </div>
          </>
        )}
      </LoadedPart>
    </Page>
  );
}
