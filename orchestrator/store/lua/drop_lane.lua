#!lua flags=allow-oom
-- drop_lane: forgets what is pending in a lane whose endpoint is gone.
--
-- KEYS[1]  lanes      zset   of the shard
-- KEYS[2]  holders    hash   of the shard
-- KEYS[3]  held       hash   of the shard
-- KEYS[4]  index      zset   deliveries of the shard
-- KEYS[5]  pending    hash   lanes of the session
-- KEYS[6]  deliveries hash   of the session
-- KEYS[7]  messages   hash   of the session
--
-- ARGV[1]  text       lane
-- ARGV[2]  text       endpoint
-- ARGV[3]  text       session id
--
-- Returns how many deliveries were forgotten.

local pending = cjson.decode(redis.call("HGET", KEYS[5], ARGV[2]) or "[]")
for _, queued in ipairs(pending) do
  local seq, created_at, message = queued[1], queued[4], queued[5]
  redis.call("HDEL", KEYS[6], ARGV[2] .. ":" .. seq)
  redis.call("ZREM", KEYS[4], string.format("%s:pending:%015d:%s:%d", ARGV[2], created_at, ARGV[3], seq))
  if redis.call("HINCRBY", KEYS[7], message .. "#", -1) <= 0 then
    redis.call("HDEL", KEYS[7], message, message .. "#")
  end
end
redis.call("HDEL", KEYS[5], ARGV[2])
redis.call("ZREM", KEYS[1], ARGV[1])
if redis.call("HDEL", KEYS[2], ARGV[1]) == 1 and redis.call("HINCRBY", KEYS[3], ARGV[2], -1) <= 0 then
  redis.call("HDEL", KEYS[3], ARGV[2])
end
return #pending
