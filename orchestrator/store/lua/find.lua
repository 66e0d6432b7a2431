#!lua flags=no-writes
-- find: walks the rarest of several index prefixes downwards and keeps the places that all of them have.
--
-- KEYS[1]  index    zset     of the tenant in the shard
--
-- ARGV[1]  text     the place below which to walk, empty to begin at the top
-- ARGV[2]  integer  places wanted
-- ARGV[3]  integer  places to look at, at most
-- ARGV[4..] text   prefixes
--
-- Returns {"end" or "more", place walked to, places found}; places are in descending order.

local rarest, fewest
for number = 4, #ARGV do
  local count = redis.call("ZLEXCOUNT", KEYS[1], "[" .. ARGV[number], "(" .. ARGV[number] .. "\255")
  if not fewest or count < fewest then
    rarest, fewest = ARGV[number], count
  end
end

local function has_all(place)
  for number = 4, #ARGV do
    if ARGV[number] ~= rarest and not redis.call("ZSCORE", KEYS[1], ARGV[number] .. place) then
      return false
    end
  end
  return true
end

local top = "(" .. rarest .. (ARGV[1] ~= "" and ARGV[1] or "\255")
local members = redis.call("ZRANGE", KEYS[1], top, "[" .. rarest, "BYLEX", "REV", "LIMIT", 0, ARGV[3])
local found, walked = {}, ARGV[1]
for _, member in ipairs(members) do
  if #found == tonumber(ARGV[2]) then
    return {"more", walked, found}
  end
  walked = string.sub(member, #rarest + 1)
  if has_all(walked) then
    table.insert(found, walked)
  end
end
return {#members == tonumber(ARGV[3]) and "more" or "end", walked, found}
