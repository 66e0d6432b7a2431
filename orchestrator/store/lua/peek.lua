#!lua flags=no-writes
-- peek: lists the watches of a shard that are due and not leased, each under its most urgent due.
--
-- KEYS[1]  strong   zset
-- KEYS[2]  quiet    zset
-- KEYS[3]  visible  zset
-- KEYS[4]  pages    hash
--
-- ARGV[1]  ms       now
-- ARGV[2]  integer  watches wanted of each urgency
--
-- Returns {strong, visible, quiet}, each the longest due first: name, since (ms) and pages (integer or false) by turns.

local now, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])

local function add(found, name, since)
  for _, value in ipairs({name, since, redis.call("HGET", KEYS[4], name)}) do
    table.insert(found, value)
  end
end

local function is_strong(name)
  local since = redis.call("ZSCORE", KEYS[1], name)
  return since and tonumber(since) <= now
end

local function is_visible(name)
  local visible_until = redis.call("ZSCORE", KEYS[3], name)
  return visible_until and tonumber(visible_until) > now
end

local strong = {}
local due = redis.call("ZRANGE", KEYS[1], "-inf", now, "BYSCORE", "LIMIT", 0, wanted, "WITHSCORES")
for at = 1, #due, 2 do
  add(strong, due[at], due[at + 1])
end

local seen = {}
for _, name in ipairs(redis.call("ZRANGE", KEYS[3], "(" .. ARGV[1], "+inf", "BYSCORE")) do
  local since = redis.call("ZSCORE", KEYS[2], name)
  if since and tonumber(since) <= now and not is_strong(name) then
    table.insert(seen, {name = name, since = since, rank = redis.call("ZRANK", KEYS[2], name)})
  end
end
table.sort(seen, function(one, other) return one.rank < other.rank end)
local visible = {}
for number = 1, math.min(wanted, #seen) do
  add(visible, seen[number].name, seen[number].since)
end

local quiet, count, offset = {}, 0, 0
repeat
  due = redis.call("ZRANGE", KEYS[2], "-inf", now, "BYSCORE", "LIMIT", offset, wanted, "WITHSCORES")
  for at = 1, #due, 2 do
    if count < wanted and not is_visible(due[at]) and not is_strong(due[at]) then
      add(quiet, due[at], due[at + 1])
      count = count + 1
    end
  end
  offset = offset + wanted
until count == wanted or #due < 2 * wanted

return {strong, visible, quiet}
