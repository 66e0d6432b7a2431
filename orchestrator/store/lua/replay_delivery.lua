#!lua
-- replay_delivery: puts a delivery into its lane once more; one that is pending becomes due.
--
-- KEYS[1]  lanes      zset   of the shard
-- KEYS[2]  holders    hash   of the shard
-- KEYS[3]  index      zset   deliveries of the shard
-- KEYS[4]  session    hash   read only
-- KEYS[5]  pending    hash   lanes of the session
-- KEYS[6]  deliveries hash   of the session
-- KEYS[7]  messages   hash   of the session
-- KEYS[8]  audit      hash   of the shard
-- KEYS[9]  audited    zset   index of the shard's audit
--
-- ARGV[1]  text       lane
-- ARGV[2]  text       endpoint
-- ARGV[3]  text       session id
-- ARGV[4]  JSON       delivery
-- ARGV[5]  bytes      message, for when none is kept
-- ARGV[6]  ms         now
-- ARGV[7]  text       the state it was read in
-- ARGV[8]  text       id of the audit entry, empty for none
-- ARGV[9]  JSON       audit entry
-- ARGV[10] lines      its index members
-- ARGV[11] text       member that the delivery has among all dead ones, if it is dead
--
-- Returns {"done"}; or {"missing"}: the session is gone; {"stale"}: its state is another one; {"held"}: it is pending in
-- a lane that somebody holds.

if redis.call("EXISTS", KEYS[4]) == 0 then
  return {"missing"}
end
local delivery = cjson.decode(ARGV[4])
local field = ARGV[2] .. ":" .. delivery.seq
local kept = redis.call("HGET", KEYS[6], field)
local before = kept and cjson.decode(kept)
if not before or before.state ~= ARGV[7] then
  return {"stale"}
end
local is_held = redis.call("HEXISTS", KEYS[2], ARGV[1]) == 1
if is_held and before.state == "pending" and tonumber(redis.call("ZSCORE", KEYS[1], ARGV[1])) > tonumber(ARGV[6]) then
  return {"held"}
end

local function member(state)
  return string.format("%s:%s:%015d:%s:%d", ARGV[2], state, delivery.created_at, ARGV[3], delivery.seq)
end

if before.state == "delivered" then
  redis.call("HINCRBY", KEYS[7], delivery.message_id .. "#", 1)
end
redis.call("HSETNX", KEYS[7], delivery.message_id, ARGV[5])
redis.call("ZREM", KEYS[3], member(before.state), ARGV[11])
redis.call("ZADD", KEYS[3], 0, member("pending"))
redis.call("HSET", KEYS[6], field, ARGV[4])

local pending = cjson.decode(redis.call("HGET", KEYS[5], ARGV[2]) or "[]")
local is_there = false
for _, queued in ipairs(pending) do
  if queued[1] == delivery.seq then
    queued[2], queued[3], is_there = 0, tonumber(ARGV[6]), true
  end
end
if not is_there then
  table.insert(pending, {delivery.seq, 0, tonumber(ARGV[6]), delivery.created_at, delivery.message_id})
end
redis.call("HSET", KEYS[5], ARGV[2], cjson.encode(pending))
if not is_held then
  redis.call("ZADD", KEYS[1], ARGV[6], ARGV[1])
end
if ARGV[8] ~= "" then
  redis.call("HSET", KEYS[8], ARGV[8], ARGV[9])
  for audited in string.gmatch(ARGV[10], "[^\n]+") do
    redis.call("ZADD", KEYS[9], 0, audited)
  end
end
return {"done"}
