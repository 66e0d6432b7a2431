#!lua flags=allow-oom
-- trim: erases the history of an ended session (events, signals, what is on record of its deliveries) and keeps what is
-- left of its document; not while a delivery of it is pending.
--
-- KEYS[1]  session  hash
-- KEYS[2]  events   stream
-- KEYS[3]  signals  list
-- KEYS[4]  wake     zset    of the shard
-- KEYS[5]  index    zset    deliveries of the shard
-- KEYS[6]  pending  hash    lanes of the session
-- KEYS[7]  records  hash    deliveries of the session
-- KEYS[8]  messages hash    of the session
-- KEYS[9..] popups  zset    of each watch that its steps may have waited on
--
-- ARGV[1]  text     session id
-- ARGV[2]  integer  version that was read
-- ARGV[3]  JSON     document
-- ARGV[4]  ms       when it is looked at next
-- ARGV[5]  ms       the same while something is pending
-- ARGV[6]  ms       now
--
-- Returns {"done"}; {"pending"}: nothing was erased; {"missing"}: it is gone; or {"stale"}: it has another version.

local version = redis.call("HGET", KEYS[1], "version")
if not version then
  return {"missing"}
end
if tonumber(version) ~= tonumber(ARGV[2]) then
  return {"stale"}
end
if redis.call("HLEN", KEYS[6]) > 0 then
  redis.call("ZADD", KEYS[4], ARGV[5], ARGV[1])
  return {"pending"}
end
local records = redis.call("HGETALL", KEYS[7])
for place = 1, #records, 2 do
  local endpoint, delivery = string.match(records[place], "^(.*):%d+$"), cjson.decode(records[place + 1])
  local time = string.format("%015d", delivery.created_at)
  redis.call("ZREM", KEYS[5], table.concat({endpoint, delivery.state, time, ARGV[1], delivery.seq}, ":"))
  redis.call("ZREM", KEYS[5], table.concat({"!dead", time, endpoint, ARGV[1], string.format("%015d", delivery.seq)}, ":"))
end
redis.call("DEL", KEYS[2], KEYS[3], KEYS[7], KEYS[8])
for watch = 9, #KEYS do
  redis.call("ZREMRANGEBYSCORE", KEYS[watch], "-inf", ARGV[6])
end
-- Every line of the index ends with the session's place; once is enough, after that "@" stands for it.
local first, rest = string.match(redis.call("HGET", KEYS[1], "index"), "^([^\n]*)(.*)$")
local place = string.gsub(string.match(first, "^[^:]*:[^:]*:(.*)$"), "%p", "%%%0")
local index = first .. string.gsub(rest, place, "@")
redis.call("HSET", KEYS[1], "document", ARGV[3], "version", ARGV[2] + 1, "index", index)
redis.call("HDEL", KEYS[1], "commit_id", "stages")
redis.call("ZADD", KEYS[4], ARGV[4], ARGV[1])
return {"done"}
