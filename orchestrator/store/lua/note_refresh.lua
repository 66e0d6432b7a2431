#!lua
-- note_refresh: writes the intent to refresh one generation of a credential, over the one that was read.
--
-- KEYS[1]  credential  hash
--
-- ARGV[1]  integer  generation
-- ARGV[2]  text     state in which it may be refreshed
-- ARGV[3]  text     the refresh that was read, empty for none
-- ARGV[4]  text     the refresh as it is now
--
-- Returns 1, also when it was written before, or 0: the credential has another generation, state or refresh.

local kept = redis.call("HMGET", KEYS[1], "generation", "state", "refresh")
if kept[1] ~= ARGV[1] or kept[2] ~= ARGV[2] then
  return 0
end
if kept[3] == ARGV[4] then
  return 1
end
if (kept[3] or "") ~= ARGV[3] then
  return 0
end
redis.call("HSET", KEYS[1], "refresh", ARGV[4])
return 1
