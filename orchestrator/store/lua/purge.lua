#!lua flags=allow-oom
-- purge: erases a session with its events, its log and its places in the indexes.
--
-- KEYS[1]  session  hash
-- KEYS[2]  events   stream
-- KEYS[3]  signals  list
-- KEYS[4]  wake     zset    of the shard
-- KEYS[5]  index    zset    of the tenant in the shard
-- KEYS[6]  open     zset    the user's sessions that have not ended
-- KEYS[7]  refs     hash    references of the user
--
-- ARGV[1]  text     session id
-- ARGV[2]  integer  version that was read
-- ARGV[3]  text     reference of the session, empty for none
--
-- Returns {"done"}, also when there is no such session; or {"stale"}: it has another version.

local kept = redis.call("HMGET", KEYS[1], "version", "index")
if not kept[1] then
  return {"done"}
end
if tonumber(kept[1]) ~= tonumber(ARGV[2]) then
  return {"stale"}
end
for member in string.gmatch(kept[2], "[^\n]+") do
  redis.call("ZREM", KEYS[5], member)
end
redis.call("ZREM", KEYS[4], ARGV[1])
redis.call("ZREM", KEYS[6], ARGV[1])
if redis.call("HGET", KEYS[7], ARGV[3]) == ARGV[1] then
  redis.call("HDEL", KEYS[7], ARGV[3])
end
redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])
return {"done"}
