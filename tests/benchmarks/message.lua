-- Messages to the sessions of the file SESSIONS, in turn; each is a small question.
local ids = {}
for line in io.lines(os.getenv("SESSIONS")) do ids[#ids + 1] = line end
local next_id = 0

function request()
  next_id = next_id % #ids + 1
  return wrk.format("POST", "/api/chat/message/", { ["Content-Type"] = "application/json" },
    '{"session_id":"' .. ids[next_id] .. '","message":"How can I reverse diabetes?"}')
end
