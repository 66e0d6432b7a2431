#!lua
-- resume: unpauses watches of one user; those that somebody waits on are due now. (A paused watch is never leased.)
--
-- KEYS[1]  strong   zset  of the shard
-- KEYS[2]  quiet    zset  of the shard
-- KEYS[3..]        two for each watch: hash, waiters (set)
--
-- ARGV[1]  ms       now
-- ARGV[2]  ms       a retry_at that means paused
-- ARGV[3]  text     channel of due watches
-- ARGV[4..] text   name of each watch
--
-- Returns how many watches are due by this.

local resumed = 0
for number = 1, #ARGV - 3 do
  local watch, waiters, name = KEYS[2 * number + 1], KEYS[2 * number + 2], ARGV[number + 3]
  local kept = redis.call("HMGET", watch, "retry_at", "quiet")
  if kept[1] == ARGV[2] then
    redis.call("HDEL", watch, "retry_at", "failures")
    redis.call("HINCRBY", watch, "version", 1)
    if redis.call("EXISTS", waiters) == 1 then
      redis.call("HSET", watch, "strong", ARGV[1])
      redis.call("ZADD", KEYS[1], ARGV[1], name)
      if kept[2] then
        redis.call("ZADD", KEYS[2], kept[2], name)
      end
      resumed = resumed + 1
    end
  end
end
if resumed > 0 then
  redis.call("PUBLISH", ARGV[3], "")
end
return resumed
