#!lua flags=no-writes
-- usage: reads how much of an egress group and a partner is held.
--
-- KEYS[1]  egress    zset
-- KEYS[2]  partner   zset
-- KEYS[3]  cooldown  hash
--
-- ARGV[1]  ms        now
-- ARGV[2]  text      field of the egress group in the cooldown
-- ARGV[3]  text      field of the partner in the cooldown
--
-- Returns {held of the egress group, held of the partner, cooldowns (ms or false)}.

return {
  redis.call("ZCOUNT", KEYS[1], "(" .. ARGV[1], "+inf"),
  redis.call("ZCOUNT", KEYS[2], "(" .. ARGV[1], "+inf"),
  redis.call("HMGET", KEYS[3], ARGV[2], ARGV[3]),
}
