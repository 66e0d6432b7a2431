#!lua
-- settle_delivery: writes down what came of a try, and frees its lane or goes on in it.
--
-- KEYS[1]  lanes      zset   of the shard
-- KEYS[2]  holders    hash   of the shard
-- KEYS[3]  held       hash   of the shard
-- KEYS[4]  index      zset   deliveries of the shard
-- KEYS[5]  received   hash   of the shard
-- KEYS[6]  pending    hash   lanes of the session
-- KEYS[7]  deliveries hash   of the session
-- KEYS[8]  messages   hash   of the session
-- KEYS[9]  troubled   hash   of the shard
--
-- ARGV[1]  text       lane
-- ARGV[2]  text       endpoint
-- ARGV[3]  text       token of the lease
-- ARGV[4]  integer    seq of the event
-- ARGV[5]  JSON       delivery
-- ARGV[6]  text       its state
-- ARGV[7]  ms         when it was first tried
-- ARGV[8]  ms         when it is tried again, where it is pending
-- ARGV[9]  ms         now
-- ARGV[10] ms         until when the lane is kept where something else is due in it, empty to free it in any case
-- ARGV[11] text       member of the index that it had
-- ARGV[12] text       member of the index that it has now
-- ARGV[13] ms         how long a delivery that failed holds its lane
-- ARGV[14] text       member that it has among all dead ones, once it is
--
-- Returns {"done"}; {"next", delivery, message}: the lane is kept for that one; or {"lost"}: the lease is another's.

local now = tonumber(ARGV[9])

if redis.call("HGET", KEYS[2], ARGV[1]) ~= ARGV[3] then
  return {"lost"}
end

local function turn(pending)
  table.sort(pending, function(one, other) return one[1] < other[1] end)
  local at, seq, held_until = nil, nil, 0
  for _, queued in ipairs(pending) do
    local mine = math.max(queued[3], held_until)
    if not at or mine < at then
      at, seq = mine, queued[1]
    end
    if queued[2] == 0 then
      break
    end
    held_until = math.max(held_until, queued[2] + ARGV[13])
  end
  return at, seq
end

local function release(message)
  if redis.call("HINCRBY", KEYS[8], message .. "#", -1) <= 0 then
    redis.call("HDEL", KEYS[8], message, message .. "#")
  end
end

local kept = redis.call("HGET", KEYS[6], ARGV[2])
local pending = kept and cjson.decode(kept) or {}
for place, queued in ipairs(pending) do
  if queued[1] == tonumber(ARGV[4]) then
    redis.call("HSET", KEYS[7], ARGV[2] .. ":" .. ARGV[4], ARGV[5])
    if ARGV[6] == "pending" then
      queued[2], queued[3] = tonumber(ARGV[7]), tonumber(ARGV[8])
    else
      table.remove(pending, place)
      redis.call("ZREM", KEYS[4], ARGV[11])
      redis.call("ZADD", KEYS[4], 0, ARGV[12])
      if ARGV[6] == "dead" then
        redis.call("ZADD", KEYS[4], 0, ARGV[14])
      end
    end
    if ARGV[6] ~= "delivered" then
      redis.call("HINCRBY", KEYS[9], ARGV[2], 1)
    else
      redis.call("HDEL", KEYS[9], ARGV[2])
      redis.call("HSET", KEYS[5], ARGV[2], ARGV[9])
      release(queued[5])
    end
    break
  end
end
if #pending > 0 then
  redis.call("HSET", KEYS[6], ARGV[2], cjson.encode(pending))
elseif kept then
  redis.call("HDEL", KEYS[6], ARGV[2])
end

local at, seq = turn(pending)
if at and at <= now and ARGV[10] ~= "" then
  local delivery = redis.call("HGET", KEYS[7], ARGV[2] .. ":" .. seq)
  redis.call("ZADD", KEYS[1], ARGV[10], ARGV[1])
  return {"next", delivery, redis.call("HGET", KEYS[8], cjson.decode(delivery).message_id)}
end

redis.call("HDEL", KEYS[2], ARGV[1])
if redis.call("HINCRBY", KEYS[3], ARGV[2], -1) <= 0 then
  redis.call("HDEL", KEYS[3], ARGV[2])
end
if at then
  redis.call("ZADD", KEYS[1], at, ARGV[1])
else
  redis.call("ZREM", KEYS[1], ARGV[1])
end
return {"done"}
