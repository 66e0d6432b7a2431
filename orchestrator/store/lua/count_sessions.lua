#!lua flags=no-writes
-- count_sessions: counts what is found by one thing, by where sessions stand.
--
-- KEYS[1]  index    zset     of the tenant in the shard
--
-- ARGV[1]  text     prefix
--
-- Returns status, state, reason and count by turns.

local counts = {}
local from, last = "[" .. ARGV[1], "(" .. ARGV[1] .. "\255"
while true do
  local member = redis.call("ZRANGE", KEYS[1], from, last, "BYLEX", "LIMIT", 0, 1)[1]
  if not member then
    return counts
  end
  local status, state, reason = string.match(member, "^([^:]*):([^:]*):([^:]*):", #ARGV[1] + 1)
  local group = ARGV[1] .. table.concat({status, state, reason, ""}, ":")
  local count = redis.call("ZLEXCOUNT", KEYS[1], "[" .. group, "(" .. group .. "\255")
  for _, part in ipairs({status, state, reason, count}) do
    table.insert(counts, part)
  end
  from = "(" .. group .. "\255"
end
