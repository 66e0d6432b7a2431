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
-- KEYS[8]  waiting  hash    of the tenant in the shard
-- KEYS[9]  lanes    zset    of the shard
-- KEYS[10] holders  hash    of the shard
-- KEYS[11] held     hash    of the shard
-- KEYS[12] index    zset    deliveries of the shard
-- KEYS[13] pending  hash    lanes of the session
-- KEYS[14] records  hash    deliveries of the session
-- KEYS[15] messages hash    of the session
-- KEYS[16] hooks    hash    webhook endpoints of the session
-- KEYS[17] unhooked zset    those that were deleted
-- KEYS[18] quoted   hash    of the shard
--
-- ARGV[1]  text     session id
-- ARGV[2]  integer  version that was read
-- ARGV[3]  text     reference of the session, empty for none
--
-- Returns {"done"}, also when there is no such session; or {"stale"}: it has another version.

-- The members in an index; in that of a trimmed session "@" stands for how the first one ends.
local function members(index)
  return string.gmatch(string.gsub(index, "@", string.match(index, "^[^:]*:[^:]*:([^\n]*)") or "@"), "[^\n]+")
end

local kept = redis.call("HMGET", KEYS[1], "version", "index", "errors")
if not kept[1] then
  return {"done"}
end
if tonumber(kept[1]) ~= tonumber(ARGV[2]) then
  return {"stale"}
end
for member in members(kept[2]) do
  redis.call("ZREM", KEYS[5], member)
end
for reference in string.gmatch(kept[3] or "", "[^\n]+") do
  redis.call("HDEL", KEYS[18], reference)
end
redis.call("ZREM", KEYS[4], ARGV[1])
redis.call("ZREM", KEYS[6], ARGV[1])
redis.call("HDEL", KEYS[8], ARGV[1])
if redis.call("HGET", KEYS[7], ARGV[3]) == ARGV[1] then
  redis.call("HDEL", KEYS[7], ARGV[3])
end
for _, endpoint in ipairs(redis.call("HKEYS", KEYS[13])) do
  local lane = endpoint .. ":" .. ARGV[1]
  redis.call("ZREM", KEYS[9], lane)
  if redis.call("HDEL", KEYS[10], lane) == 1 and redis.call("HINCRBY", KEYS[11], endpoint, -1) <= 0 then
    redis.call("HDEL", KEYS[11], endpoint)
  end
end
local records = redis.call("HGETALL", KEYS[14])
for place = 1, #records, 2 do
  local endpoint, delivery = string.match(records[place], "^(.*):%d+$"), cjson.decode(records[place + 1])
  local time = string.format("%015d", delivery.created_at)
  redis.call("ZREM", KEYS[12], table.concat({endpoint, delivery.state, time, ARGV[1], delivery.seq}, ":"))
  redis.call("ZREM", KEYS[12], table.concat({"!dead", time, endpoint, ARGV[1], string.format("%015d", delivery.seq)}, ":"))
end
redis.call("DEL", KEYS[1], KEYS[2], KEYS[3], KEYS[13], KEYS[14], KEYS[15], KEYS[16], KEYS[17])
return {"done"}
