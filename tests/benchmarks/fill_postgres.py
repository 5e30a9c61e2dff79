"""Fills a PostgreSQL database with made-up chats, fast: straight through SQL, by psql.

Usage: fill_postgres.py URL [SESSIONS [MESSAGES]]

As fill_database.py does for SQLite, with the same sessions, texts and times; the database has its
tables already. 100,000 sessions and 5,000,000 messages by default. The indexes of searches are
dropped before and made again behind (`twinchat-server migrate` would do that on a database that has
none), and the tables analyzed.
"""

import subprocess
import sys

from fill_database import ANSWER, QUESTION

SESSION_ID = ("lpad(to_hex(n * 2654435761 % 4294967296), 8, '0') || '-0000-4000-8000-' || "
              "lpad(to_hex(n), 12, '0')")


def statements(sessions, messages):
    pairs = messages // 2
    time = f"now()::timestamptz(0) - ({max(sessions, pairs)} - n) * interval '1 second'"
    session = f"(SELECT coalesce(min(id), 1) FROM chat_chatsession WHERE user_name = 'Visitor 1')"
    yield "SET synchronous_commit = off"
    yield "SET maintenance_work_mem = '1GB'"
    yield "SET max_parallel_maintenance_workers = 2"
    yield ("INSERT INTO chat_chatsession (session_id, user_name, user_email, user_phone, created_at, "
           f"updated_at) SELECT {SESSION_ID}, 'Visitor ' || n, 'visitor' || n || '@mail.example', "
           f"'+1555' || lpad(n::text, 7, '0'), {time}, {time} "
           f"FROM generate_series(1, {sessions}) AS n")
    for index in ("twinchat_message_trigrams",):
        yield (f"CREATE TEMP TABLE dropped AS SELECT indexdef FROM pg_indexes WHERE indexname = "
               f"'{index}'")
        yield f"DROP INDEX IF EXISTS {index}"
    # Questions and answers in turn, and the sessions too.
    yield ("INSERT INTO chat_message (content, is_bot, created_at, session_id) "
           f"SELECT CASE WHEN b = 0 THEN {QUESTION} ELSE {ANSWER} END, b = 1, {time}, "
           f"{session} + n % {sessions} FROM generate_series(1, {pairs}) AS n, "
           "generate_series(0, 1) AS b ORDER BY n, b")
    yield ("INSERT INTO twinchat_turn (session_id, user_message_id, answer_message_id, status, "
           "idempotency_key, fingerprint, contents, finish_reason, block_reason, model, "
           "model_version, response_id, prompt_tokens, cached_tokens, output_tokens, "
           "thought_tokens, total_tokens, latency_ms, attempts, error_code, owner, created_at, "
           "expires_at, finished_at) SELECT session_id, id, id + 1, 'complete', NULL, '', '', "
           "'STOP', '', 'made-up', 'made-up-001', 'r' || id, 20 + id % 900, 0, 30 + id % 200, 0, "
           "50 + id % 1100, 300 + id % 2000, 1, '', 'made-up', created_at, created_at, created_at "
           "FROM chat_message AS q WHERE NOT is_bot AND NOT EXISTS (SELECT 1 FROM twinchat_turn AS "
           "t WHERE t.user_message_id = q.id)")
    # What is listed says when the last message was.
    yield ("UPDATE chat_chatsession AS s SET updated_at = m.newest FROM (SELECT session_id, "
           "max(created_at) AS newest FROM chat_message GROUP BY session_id) AS m WHERE "
           "m.session_id = s.id")
    yield ("INSERT INTO twinchat_session (id, updated_at, is_lead, message_count, last_message, "
           "lead_counted) SELECT s.id, s.updated_at, true, coalesce(m.n, 0), m.newest, true FROM chat_chatsession AS s "
           "LEFT JOIN (SELECT session_id, count(*) AS n, max(id) AS newest FROM chat_message GROUP "
           "BY session_id) AS m ON m.session_id = s.id ON CONFLICT (id) DO UPDATE SET updated_at = "
           "excluded.updated_at, is_lead = excluded.is_lead, message_count = "
           "excluded.message_count, last_message = excluded.last_message, lead_counted = true")
    yield "SELECT indexdef FROM dropped \\gexec"
    yield ("UPDATE twinchat_index SET last_session = (SELECT max(id) FROM chat_chatsession), "
           "last_message = (SELECT max(id) FROM chat_message), sessions = (SELECT count(*) FROM "
           "chat_chatsession), leads = (SELECT count(*) FROM twinchat_session WHERE lead_counted), "
           "messages = (SELECT count(*) FROM chat_message)")
    for table in ("chat_chatsession", "chat_message", "twinchat_session", "twinchat_turn"):
        yield f"VACUUM ANALYZE {table}"


def fill(url, sessions=100_000, messages=5_000_000):
    script = "".join(s + ("\n" if "\\gexec" in s else ";\n") for s in statements(sessions, messages))
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url], input=script, text=True,
                   check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    fill(sys.argv[1], *(int(argument) for argument in sys.argv[2:4]))
