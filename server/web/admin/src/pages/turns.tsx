import { formatDuration } from "../../../shared/format.ts";
import type { TurnRow } from "../api/types.ts";
import { href, useUrl } from "../router.ts";
import { Feedback, LoadedPart, Nothing, Page, Said, Status, Time } from "../ui/basics.tsx";
import {
  type Column,
  countText,
  DateFilter,
  Filter,
  Filters,
  listQuery,
  Pager,
  Table,
  useList,
} from "../ui/list.tsx";
import { sessionPath } from "./sessions.tsx";

const names = ["status", "feedback", "created", "created_from", "created_to"] as const;

const columns: Column<TurnRow>[] = [
  { title: "Status", cell: (row) => <Status status={row.status} /> },
  { title: "When", class: "time", cell: (row) => <Time at={row.created_at} /> },
  {
    title: "Visitor",
    class: "short",
    cell: (row) => (
      <a href={href(`${sessionPath(row.session_id)}conversation/`)}>
        <Said text={row.user_name || row.session_id} />
      </a>
    ),
  },
  {
    title: "Visitor says",
    cell: (row) => (row.feedback ? <Feedback {...row} /> : <Nothing />),
  },
  { title: "Question", class: "preview", cell: (row) => <Said text={row.question} /> },
  {
    title: "Answer",
    class: "preview",
    cell: (row) => (row.answer ? <Said text={row.answer} /> : <Nothing>none</Nothing>),
  },
  {
    title: "Why",
    cell: (row) => (row.error_code ? <code>{row.error_code}</code> : <Nothing />),
  },
  { title: "Model", cell: (row) => (row.model ? row.model : <Nothing />) },
  { title: "Attempts", class: "number", cell: (row) => row.attempts },
  {
    title: "Took",
    class: "number",
    cell: (row) => (row.latency_ms === null ? <Nothing /> : formatDuration(row.latency_ms)),
  },
];

export function Turns() {
  const { query } = useUrl();
  const by_feedback = query.has("feedback");
  const title = by_feedback ? "Answers with a thumb" : "Unanswered and flagged";
  const list = useList<TurnRow>("turns/", listQuery(names));
  return (
    <Page wide title={title} crumbs={[{ text: title }]}>
      <p class="help">
        Unanswered: failed, empty, interrupted or cancelled. Flagged: blocked by the model, or cut.
        By feedback all answers are listed, also those where nothing went wrong.
      </p>
      <div class="with-filters">
        <LoadedPart of={list}>
          {(list) => (
            <>
              <p class="found" role="status">
                {countText(list, "turn")}
              </p>
              {list.results.length > 0 ? (
                <Table
                  label="Turns"
                  columns={columns}
                  rows={list.results}
                  id={(row) => String(row.id)}
                />
              ) : (
                <p class="empty">
                  {by_feedback ? "No answer has such a thumb." : "Every question has its answer."}
                </p>
              )}
              <Pager list={list} />
            </>
          )}
        </LoadedPart>
        <Filters names={names}>
          <Filter
            title="By status"
            name="status"
            choices={[
              { value: null, text: "All of these" },
              { value: "unanswered", text: "Unanswered" },
              { value: "failed", text: "Failed" },
              { value: "empty", text: "Empty" },
              { value: "interrupted", text: "Interrupted" },
              { value: "cancelled", text: "Cancelled" },
              { value: "flagged", text: "Flagged" },
              { value: "blocked", text: "Blocked" },
              { value: "truncated", text: "Cut" },
            ]}
          />
          <Filter
            title="By feedback"
            name="feedback"
            choices={[
              { value: null, text: "Any" },
              { value: "down", text: "Thumb down" },
              { value: "up", text: "Thumb up" },
            ]}
          />
          <DateFilter title="By created" name="created" />
        </Filters>
      </div>
    </Page>
  );
}
