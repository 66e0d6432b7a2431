#!lua
-- begin_deliveries: hands out what is to be sent, in lanes that are leased still.
--
-- KEYS[1]  lanes     zset    of the shard
-- KEYS[2]  holders   hash    of the shard
-- KEYS[3..]          two for each lane: deliveries and messages (hashes) of its session
--
-- ARGV[1]  text      token of the lease
-- ARGV[2]  ms        until when the lanes are leased now
-- ARGV[3]  JSON      lanes, in the order of KEYS: {name, field}
--
-- Returns for each lane {delivery, message}, nothing in it for one that was lost.

local begun = {}
for number, lane in ipairs(cjson.decode(ARGV[3])) do
  local first = 3 + 2 * (number - 1)
  local delivery = redis.call("HGET", KEYS[2], lane.name) == ARGV[1] and redis.call("HGET", KEYS[first], lane.field)
  local message = delivery and redis.call("HGET", KEYS[first + 1], cjson.decode(delivery).message_id)
  begun[number] = message and {delivery, message} or {}
  if message then
    redis.call("ZADD", KEYS[1], ARGV[2], lane.name)
  end
end
return begun
