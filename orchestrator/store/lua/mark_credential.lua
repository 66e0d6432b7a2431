#!lua flags=allow-oom
-- mark_credential: changes the state of one generation of a credential; with that its refresh is over.
--
-- KEYS[1]  credential  hash
-- KEYS[2]  untold      set   of the shard
--
-- ARGV[1]  integer  generation
-- ARGV[2]  text     state
-- ARGV[3]  text     what names the user inside the shard
-- ARGV[4]  text     why
-- ARGV[5]  text     the refresh that must be the latest, empty for any
--
-- Returns 1, or 0: the credential has another generation or refresh, or this state already.

local kept = redis.call("HMGET", KEYS[1], "generation", "state", "refresh")
if kept[1] ~= ARGV[1] or kept[2] == ARGV[2] or (ARGV[5] ~= "" and kept[3] ~= ARGV[5]) then
  return 0
end
redis.call("HSET", KEYS[1], "state", ARGV[2], "reason", ARGV[4])
redis.call("HDEL", KEYS[1], "refresh")
redis.call("SADD", KEYS[2], ARGV[3])
return 1
