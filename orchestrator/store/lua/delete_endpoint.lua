#!lua flags=allow-oom
-- delete_endpoint: forgets a webhook endpoint, and remembers for a while that it was deleted.
--
-- KEYS[1]  endpoints  hash  of its tenant, or of its session
-- KEYS[2]  deleted    zset  of the same
--
-- ARGV[1]  text       id
-- ARGV[2]  ms         now
-- ARGV[3]  ms         until when none of this id may be made
--
-- Returns 1, or 0 when there was none.

redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", ARGV[2])
local was_there = redis.call("HDEL", KEYS[1], ARGV[1])
if was_there == 1 then
  redis.call("ZADD", KEYS[2], ARGV[3], ARGV[1])
end
return was_there
