#!lua flags=allow-oom
-- reseal: puts a secret that was sealed anew in the place of what was read.
--
-- KEYS[1]  record  hash
--
-- ARGV[1]  bytes   `sealed` as it was read
-- ARGV[2]  bytes   the same secret, sealed anew
--
-- Returns 1, or 0: another secret was put meanwhile, or the record is gone.

if redis.call("HGET", KEYS[1], "sealed") ~= ARGV[1] then
  return 0
end
redis.call("HSET", KEYS[1], "sealed", ARGV[2])
return 1
