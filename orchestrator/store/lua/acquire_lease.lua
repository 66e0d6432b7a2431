#!lua
-- acquire_lease: takes or prolongs a named lease.
--
-- KEYS[1]  lease  hash  holder, until
--
-- ARGV[1]  text   who wants it
-- ARGV[2]  ms     now
-- ARGV[3]  ms     until when
--
-- Returns 1, or 0: somebody else has it.

local kept = redis.call("HMGET", KEYS[1], "holder", "until")
if kept[1] and kept[1] ~= ARGV[1] and tonumber(kept[2]) > tonumber(ARGV[2]) then
  return 0
end
redis.call("HSET", KEYS[1], "holder", ARGV[1], "until", ARGV[3])
return 1
