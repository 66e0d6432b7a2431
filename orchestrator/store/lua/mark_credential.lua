#!lua flags=allow-oom
-- mark_credential: changes the state of one generation of a credential.
--
-- KEYS[1]  credential  hash
-- KEYS[2]  untold      set   of the shard
--
-- ARGV[1]  integer  generation
-- ARGV[2]  text     state
-- ARGV[3]  text     what names the user inside the shard
--
-- Returns 1, or 0: the credential has another generation, or this state already.

local kept = redis.call("HMGET", KEYS[1], "generation", "state")
if kept[1] ~= ARGV[1] or kept[2] == ARGV[2] then
  return 0
end
redis.call("HSET", KEYS[1], "state", ARGV[2])
redis.call("SADD", KEYS[2], ARGV[3])
return 1
