#!lua flags=allow-oom
-- forget_claims: erases a watch's old claims, and the watch itself when nothing is left of it.
--
-- KEYS[1]  kept     zset  of the shard
-- KEYS[2]  pages    hash  of the shard
-- KEYS[3]  apps     set   app ids of the user's watches
-- KEYS[4]  watch    hash
-- KEYS[5]  waiters  set
-- KEYS[6]  popups   zset
-- KEYS[7]  claims   hash
--
-- ARGV[1]  text     the watch's name
-- ARGV[2]  text     its app's id
-- ARGV[3]  ms       claims made before this are old, popups that ended before it are over
--
-- Returns how many claims were erased.

local before = tonumber(ARGV[3])
local oldest
local erased = 0
local claims = redis.call("HGETALL", KEYS[7])
for number = 1, #claims, 2 do
  local at = tonumber(string.match(claims[number + 1], "^%d+"))
  if at < before then
    redis.call("HDEL", KEYS[7], claims[number])
    erased = erased + 1
  else
    oldest = math.min(oldest or at, at)
  end
end

local is_wanted = redis.call("EXISTS", KEYS[5]) == 1
local may_yield = redis.call("ZCOUNT", KEYS[6], ARGV[3], "+inf") > 0
if oldest or is_wanted or may_yield then
  redis.call("ZADD", KEYS[1], oldest or before, ARGV[1])
else
  redis.call("DEL", KEYS[4], KEYS[6])
  redis.call("HDEL", KEYS[2], ARGV[1])
  redis.call("SREM", KEYS[3], ARGV[2])
  redis.call("ZREM", KEYS[1], ARGV[1])
end
return erased
