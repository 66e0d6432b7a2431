#!lua flags=allow-oom
-- release_lease: frees a named lease.
--
-- KEYS[1]  lease  hash  holder, until
--
-- ARGV[1]  text   who had it
--
-- Returns 1, or 0: it is not theirs.

if redis.call("HGET", KEYS[1], "holder") ~= ARGV[1] then
  return 0
end
redis.call("DEL", KEYS[1])
return 1
