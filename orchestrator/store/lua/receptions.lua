#!lua flags=no-writes
-- receptions: says how endpoints receive what comes of the sessions of a shard.
--
-- KEYS[1]  deliveries zset
-- KEYS[2]  troubled   hash
-- KEYS[3]  received   hash
--
-- ARGV[1..] text      names of endpoints
--
-- Returns {pending, dead, tries in a row that failed or false, when it last received anything (ms) or false} for each.

local function count(prefix)
  return redis.call("ZLEXCOUNT", KEYS[1], "[" .. prefix, "(" .. prefix .. "\255")
end

local found = {}
for number, endpoint in ipairs(ARGV) do
  found[number] = {
    count(endpoint .. ":pending:"),
    count(endpoint .. ":dead:"),
    redis.call("HGET", KEYS[2], endpoint),
    redis.call("HGET", KEYS[3], endpoint),
  }
end
return found
