#!lua flags=no-writes
-- count_apps: counts sessions by their apps, and those of them in which somebody waits.
--
-- KEYS[1]  index    zset     of the tenant in the shard
--
-- ARGV[1]  text     beginning of the members of all apps
-- ARGV[2]  text     where sessions stand whose user waits, as it follows an app
--
-- Returns app (as it is written in names), how many, and how many of these wait, by turns.

local function count(prefix)
  return redis.call("ZLEXCOUNT", KEYS[1], "[" .. prefix, "(" .. prefix .. "\255")
end

local counts = {}
local place = redis.call("ZLEXCOUNT", KEYS[1], "-", "(" .. ARGV[1])
while true do
  local member = redis.call("ZRANGE", KEYS[1], place, place)[1]
  if not member or string.sub(member, 1, #ARGV[1]) ~= ARGV[1] then
    return counts
  end
  local app = string.match(member, "^[^:]*", #ARGV[1] + 1)
  local prefix = ARGV[1] .. app .. ":"
  local sessions = count(prefix)
  counts[#counts + 1] = app
  counts[#counts + 1] = sessions
  counts[#counts + 1] = count(prefix .. ARGV[2])
  place = place + sessions
end
