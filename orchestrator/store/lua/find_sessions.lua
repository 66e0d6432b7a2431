#!lua flags=no-writes
-- find_sessions: merges ranges of an index downwards by age, and keeps the places that match everything else.
--
-- What is found by several things is walked by the rarest of them. Each has its members grouped by where sessions stand
-- (`<status>:<state>:<reason>:`), so that of these every wish is a union of ranges: none is walked in vain.
--
-- KEYS[1]  index    zset     of the tenant in the shard
-- KEYS[2]  waiting  hash     of the tenant in the shard
-- KEYS[3]  strong   zset     of the shard
-- KEYS[4]  quiet    zset     of the shard
--
-- ARGV[1]  text     the place below which to walk
-- ARGV[2]  text     the place not below which to walk, empty for the end
-- ARGV[3]  integer  places wanted
-- ARGV[4]  integer  places to look at, at most
-- ARGV[5]  text     status, empty for any
-- ARGV[6]  text     state, empty for any
-- ARGV[7]  text     reason, empty for any
-- ARGV[8]  ms       who was heard, or whose check was due, not later than this is stuck; empty for everybody
-- ARGV[9..] text    prefixes
--
-- Returns {"end" or "more", place walked to, places found}; places are in descending order.

local READ_AT_ONCE = 16

local function range(from, below, ...)
  return redis.call("ZRANGE", KEYS[1], from, below, "BYLEX", ...)
end

local rarest, fewest
for number = 9, #ARGV do
  local count = #ARGV == 9 and 0 or redis.call("ZLEXCOUNT", KEYS[1], "[" .. ARGV[number], "(" .. ARGV[number] .. "\255")
  if not fewest or count < fewest then
    rarest, fewest = ARGV[number], count
  end
end

local function fits(wish, part)
  return wish == "" or wish == part
end

-- Reads on in a group when what was read of it is used up; answers whether there is a place.
local function at_hand(group)
  if group.read[group.at] or group.is_over then
    return group.read[group.at] ~= nil
  end
  group.read = redis.call(
    "ZRANGE", KEYS[1], "(" .. group.prefix .. group.below, "[" .. group.prefix .. ARGV[2],
    "BYLEX", "REV", "LIMIT", 0, READ_AT_ONCE
  )
  group.at, group.is_over = 1, #group.read < READ_AT_ONCE
  if group.is_over and #group.read == 0 then
    return false
  end
  group.below = string.sub(group.read[#group.read], #group.prefix + 1)
  return true
end

local groups = {}
local start = rarest
if ARGV[5] ~= "" then
  start = start .. ARGV[5] .. ":" .. (ARGV[6] ~= "" and ARGV[6] .. ":" or "")
end
local from, last = "[" .. start, "(" .. start .. "\255"
while true do
  local member = range(from, last, "LIMIT", 0, 1)[1]
  if not member then
    break
  end
  local status, state, reason = string.match(member, "^([^:]*):([^:]*):([^:]*):", #rarest + 1)
  local situation = table.concat({status, state, reason, ""}, ":")
  local group = {situation = situation, prefix = rarest .. situation, below = ARGV[1], read = {}, at = 1}
  if fits(ARGV[5], status) and fits(ARGV[6], state) and fits(ARGV[7], reason) and at_hand(group) then
    table.insert(groups, group)
  end
  from = "(" .. group.prefix .. "\255"
end

local function is_stuck(session)
  local value = redis.call("HGET", KEYS[2], session)
  if not value then
    return false
  end
  local heard, names = string.match(value, "^%d+ (%d+) (.*)$")
  if heard ~= "0" and tonumber(heard) <= tonumber(ARGV[8]) then
    return true
  end
  for name in string.gmatch(names, "[^ ]+") do
    for _, queue in ipairs({KEYS[3], KEYS[4]}) do
      local due = redis.call("ZSCORE", queue, name)
      if due and tonumber(due) <= tonumber(ARGV[8]) then
        return true
      end
    end
  end
  return false
end

local function matches(situation, place)
  for number = 9, #ARGV do
    if ARGV[number] ~= rarest and not redis.call("ZSCORE", KEYS[1], ARGV[number] .. situation .. place) then
      return false
    end
  end
  return ARGV[8] == "" or is_stuck(string.match(place, "[^:]*$"))
end

local found, walked = {}, ARGV[1]
for _ = 1, ARGV[4] do
  if #found == tonumber(ARGV[3]) then
    return {"more", walked, found}
  end
  local youngest, top
  for _, group in ipairs(groups) do
    if at_hand(group) then
      local place = string.sub(group.read[group.at], #group.prefix + 1)
      if not top or place > top then
        youngest, top = group, place
      end
    end
  end
  if not youngest then
    return {"end", walked, found}
  end
  youngest.at = youngest.at + 1
  walked = top
  if matches(youngest.situation, top) then
    table.insert(found, top)
  end
end
return {"more", walked, found}
