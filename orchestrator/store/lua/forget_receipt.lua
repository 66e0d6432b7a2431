#!lua flags=allow-oom
-- forget_receipt: erases a receipt that is good no more.
--
-- KEYS[1]  good      zset  receipts of the shard
-- KEYS[2]  receipts  hash  of the user
--
-- ARGV[1]  text      what names it inside the shard
-- ARGV[2]  text      its name
-- ARGV[3]  ms        now
--
-- Returns 1, or 0: it is not there, or good again.

local good_until = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not good_until or tonumber(good_until) > tonumber(ARGV[3]) then
  return 0
end
redis.call("HDEL", KEYS[2], ARGV[2])
redis.call("ZREM", KEYS[1], ARGV[1])
return 1
