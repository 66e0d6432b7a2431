#!lua flags=allow-oom
-- forget_audit: erases the oldest entries of a shard's audit.
--
-- KEYS[1]  audit    hash     of the shard
-- KEYS[2]  index    zset     of the shard's audit
--
-- ARGV[1]  text     time before which entries are erased, as it is written in members
-- ARGV[2]  integer  entries to erase, at most
--
-- Returns how many were erased.

local old = redis.call("ZRANGE", KEYS[2], "[all::", "(all::" .. ARGV[1], "BYLEX", "LIMIT", 0, ARGV[2])
for _, member in ipairs(old) do
  local place = string.sub(member, #"all::" + 1)
  local id = string.match(place, "[^:]*$")
  local entry = cjson.decode(redis.call("HGET", KEYS[1], id))
  local found_by = {tenant = entry.tenant_id, session = entry.session_id, key = entry.key_id, action = entry.action}
  for dimension, value in pairs(found_by) do
    redis.call("ZREM", KEYS[2], dimension .. ":" .. value .. ":" .. place)
  end
  redis.call("ZREM", KEYS[2], member)
  redis.call("HDEL", KEYS[1], id)
end
return #old
