#!lua
-- audit: keeps an entry of the audit; a second time it stays as it is.
--
-- KEYS[1]  audit  hash  of the shard
-- KEYS[2]  index  zset  of the shard's audit
--
-- ARGV[1]  text   id of the entry
-- ARGV[2]  JSON   entry
-- ARGV[3]  lines  index members
--
-- Returns {"done"}.

if redis.call("HSETNX", KEYS[1], ARGV[1], ARGV[2]) == 1 then
  for member in string.gmatch(ARGV[3], "[^\n]+") do
    redis.call("ZADD", KEYS[2], 0, member)
  end
end
return {"done"}
