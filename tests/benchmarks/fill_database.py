"""Fills a SQLite database with made-up chats, fast: straight through SQL.

Usage: fill_database.py FILE [SESSIONS [MESSAGES]]

FILE has its tables already (`twinchat-server migrate`) and is not in use. SESSIONS (100,000) chats
get MESSAGES (2,000,000) messages in all, half of them questions and half answers, each pair with its
turn. Sessions are named by UUIDs that follow from their number (see session_id below), times lie
one second apart and end now, and the chats are told in turn, as many visitors would: the messages of
one session lie far apart in the file.
"""

import sqlite3
import sys

# What is said in the n-th question and its answer.
QUESTION = "'How can I reverse diabetes? Question ' || n || ' of many, about as long as they are.'"
ANSWER = ("'Losing weight can put type 2 diabetes into remission. Answer ' || n || '. ' || "
          "substr('Talk to your doctor before you change what you eat or which medicine you take, "
          "and have your blood sugar measured regularly while you do so.', 1, CAST(20 + n % 120 AS "
          "integer))")

# The id of the n-th session, from 1.
SESSION_ID = "printf('%08x-0000-4000-8000-%012x', n * 2654435761 % 4294967296, n)"


def session_id(n):
    return f"{n * 2654435761 % 4294967296:08x}-0000-4000-8000-{n:012x}"


TIME = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({pairs} - {n}) || ' seconds')"


def fill(file, sessions=100_000, messages=2_000_000):
    pairs = messages // 2
    database = sqlite3.connect(file, isolation_level=None)
    database.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-262144; BEGIN")
    count = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)"
    first = database.execute("SELECT coalesce(max(id), 0) FROM chat_chatsession").fetchone()[0]
    message = database.execute("SELECT coalesce(max(id), 0) FROM chat_message").fetchone()[0]
    turn = database.execute("SELECT coalesce(max(id), 0) FROM twinchat_turn").fetchone()[0]
    time = TIME.format(pairs=max(sessions, pairs), n="n")
    database.execute(
        f"{count} INSERT INTO chat_chatsession (id, session_id, user_name, user_email, user_phone, "
        f"created_at, updated_at) SELECT ?2 + n, {SESSION_ID}, 'Visitor ' || n, 'visitor' || n || "
        f"'@mail.example', '+1555' || printf('%07d', n), {time}, {time} FROM numbers",
        (sessions, first))
    texts = {0: QUESTION, 1: ANSWER}
    # Questions have odd numbers, answers even ones.
    for is_bot, text in texts.items():
        database.execute(
            f"{count} INSERT INTO chat_message (id, content, is_bot, created_at, session_id) SELECT "
            f"?2 + 2 * n - 1 + {is_bot}, {text}, {is_bot}, {time}, ?3 + 1 + n % ?4 FROM numbers",
            (pairs, message, first, sessions))
    database.execute(
        f"{count} INSERT INTO twinchat_turn (id, session_id, user_message_id, answer_message_id, "
        "status, idempotency_key, fingerprint, contents, finish_reason, block_reason, model, "
        "model_version, response_id, prompt_tokens, cached_tokens, output_tokens, thought_tokens, "
        "total_tokens, latency_ms, attempts, error_code, owner, created_at, expires_at, finished_at) "
        "SELECT ?2 + n, ?3 + 1 + n % ?4, ?5 + 2 * n - 1, ?5 + 2 * n, 'complete', NULL, '', '', 'STOP', "
        "'', 'made-up', 'made-up-001', 'r' || n, 20 + n % 900, 0, 30 + n % 200, 0, 50 + n % 1100, "
        f"300 + n % 2000, 1, '', 'made-up', {time}, {time}, {time} FROM numbers",
        (pairs, turn, first, sessions, message))
    database.execute("COMMIT")
    database.executescript("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


if __name__ == "__main__":
    fill(sys.argv[1], *(int(argument) for argument in sys.argv[2:4]))
