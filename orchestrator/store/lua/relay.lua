#!lua
-- relay: takes events out of an outbox and puts their deliveries in their lanes.
--
-- KEYS[1]  outbox    stream  of the shard
-- KEYS[2]  lanes     zset    of the shard
-- KEYS[3]  holders   hash    of the shard
-- KEYS[4]  index     zset    deliveries of the shard
-- KEYS[5..]          three for each session that `session` below counts from 1: lanes, deliveries, messages (hashes)
--
-- ARGV[1]  ms        now
-- ARGV[2]  ms        how long a delivery that failed holds its lane
-- ARGV[3]  JSON      events: {place, session, message, deliveries}; these, one at least:
--                    {endpoint, lane, field, doc, member, seq, at}
-- ARGV[4..] bytes    the message of each event, in their order
--
-- Returns how many events were there; what became of the others was settled before.

local now = tonumber(ARGV[1])

-- A delivery that was never tried is never passed; one that was holds the lane for a while from its first try.
local function queue(lanes, delivery, message)
  local kept = redis.call("HGET", lanes, delivery.endpoint)
  local pending = kept and cjson.decode(kept) or {}
  local due, is_open = now, true
  for _, other in ipairs(pending) do
    is_open = is_open and other[2] > 0
    due = math.max(due, other[2] + ARGV[2])
  end
  table.insert(pending, {delivery.seq, 0, now, delivery.at, message})
  redis.call("HSET", lanes, delivery.endpoint, cjson.encode(pending))
  if not kept then
    redis.call("ZADD", KEYS[2], now, delivery.lane)
  elseif is_open and redis.call("HEXISTS", KEYS[3], delivery.lane) == 0 then
    redis.call("ZADD", KEYS[2], "LT", due, delivery.lane)
  end
end

local taken = 0
for number, event in ipairs(cjson.decode(ARGV[3])) do
  if redis.call("XDEL", KEYS[1], event.place) == 1 then
    taken = taken + 1
    local first = 5 + 3 * (event.session - 1)
    redis.call("HSET", KEYS[first + 2], event.message, ARGV[3 + number], event.message .. "#", #event.deliveries)
    for _, delivery in ipairs(event.deliveries) do
      redis.call("HSET", KEYS[first + 1], delivery.field, delivery.doc)
      redis.call("ZADD", KEYS[4], 0, delivery.member)
      queue(KEYS[first], delivery, event.message)
    end
  end
end
return taken
