#!lua
-- write_sign_in: writes a sign-in that is as far as was read, or that is new.
--
-- KEYS[1]  sign-ins  hash  of the shard
-- KEYS[2]  kept      zset  of the shard
--
-- ARGV[1]  text      id
-- ARGV[2]  text      state that was read, empty for a new one
-- ARGV[3]  JSON      sign-in
-- ARGV[4]  ms        until when it is kept
--
-- Returns 1; or 0: it is further, or not there any more, and nothing is written.

local kept = redis.call("HGET", KEYS[1], ARGV[1])
if (kept and cjson.decode(kept).state or "") ~= ARGV[2] then
  return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
return 1
