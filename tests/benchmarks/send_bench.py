"""What one send costs in Python; see send_bench.cc.

Usage: send_bench.py BASE_URL SENDS"""

import statistics
import sys
import time

import twinchat

WARM_UP = 200
SENDS_PER_SESSION = 10

base_url, sends = sys.argv[1], int(sys.argv[2])
assistant = twinchat.Assistant(
    twinchat.open_store("memory:"),
    twinchat.make_gemini_model(api_key="bench", base_url=base_url),
    system_prompt="You are a friendly assistant.")
walls = []
for i in range(-WARM_UP, sends):
    if i == 0:
        cpu = time.process_time()
    if i % SENDS_PER_SESSION == 0:
        session_id = assistant.create_session().session_id
    begun = time.perf_counter()
    turn = assistant.send(session_id, "How can I reverse diabetes?")
    wall = time.perf_counter() - begun
    assert turn.text
    if i >= 0:
        walls.append(wall)
cpu = time.process_time() - cpu
print(f"{statistics.median(walls) * 1e6:.1f} {cpu / sends * 1e6:.1f}")
