#!lua flags=no-writes
-- planned: lists watches of a shard by when they are checked next.
--
-- KEYS[1]  strong   zset
-- KEYS[2]  quiet    zset
--
-- ARGV[1]  ms       from when
-- ARGV[2]  text     name behind which to begin at that moment, empty for the first
-- ARGV[3]  integer  watches wanted
-- ARGV[4..] text    beginnings of the names that are wanted; none for any
--
-- Returns name, when (ms), and 1 where that is because of a signal or 0, by turns, in order.

local READ_AT_ONCE = 200
local wanted, queues = tonumber(ARGV[3]), {KEYS[1], KEYS[2]}

local function is_wanted(name)
  for number = 4, #ARGV do
    if string.sub(name, 1, #ARGV[number]) == ARGV[number] then
      return true
    end
  end
  return #ARGV == 3
end

local function is_behind(at, name)
  return tonumber(at) > tonumber(ARGV[1]) or name > ARGV[2]
end

local found, is_found = {}, {}
for number, queue in ipairs(queues) do
  local count, offset, read = 0, 0, nil
  repeat
    read = redis.call("ZRANGE", queue, ARGV[1], "+inf", "BYSCORE", "LIMIT", offset, READ_AT_ONCE, "WITHSCORES")
    for place = 1, #read, 2 do
      local name, at = read[place], read[place + 1]
      local other = redis.call("ZSCORE", queues[3 - number], name)
      local is_first = not other or tonumber(at) < tonumber(other) or (number == 1 and tonumber(at) == tonumber(other))
      if count < wanted and is_first and not is_found[name] and is_behind(at, name) and is_wanted(name) then
        is_found[name], count = true, count + 1
        table.insert(found, {at = at, name = name, is_strong = 2 - number})
      end
    end
    offset = offset + READ_AT_ONCE
  until count == wanted or #read < 2 * READ_AT_ONCE
end

table.sort(found, function(one, other)
  if tonumber(one.at) ~= tonumber(other.at) then
    return tonumber(one.at) < tonumber(other.at)
  end
  return one.name < other.name
end)
local listed = {}
for number = 1, math.min(wanted, #found) do
  for _, value in ipairs({found[number].name, found[number].at, found[number].is_strong}) do
    table.insert(listed, value)
  end
end
return listed
