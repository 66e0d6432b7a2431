#!lua flags=allow-oom
-- told: notes that the user's sessions know how the credential is.
--
-- KEYS[1]  credential  hash
-- KEYS[2]  untold      set   of the shard
--
-- ARGV[1]  integer  generation
-- ARGV[2]  text     state
-- ARGV[3]  text     what names the user inside the shard
--
-- Returns 1, or 0: it has another generation or state by now, which the sessions may not know.

local kept = redis.call("HMGET", KEYS[1], "generation", "state")
if kept[1] ~= ARGV[1] or kept[2] ~= ARGV[2] then
  return 0
end
redis.call("SREM", KEYS[2], ARGV[3])
return 1
