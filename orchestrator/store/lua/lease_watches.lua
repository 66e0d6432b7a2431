#!lua
-- lease_watches: takes watches of one shard for one check each; they are not due again before the lease's end.
--
-- KEYS[1]  strong   zset
-- KEYS[2]  quiet    zset
-- KEYS[3..]        hash of each watch
--
-- ARGV[1]  text     lease token
-- ARGV[2]  ms       now
-- ARGV[3]  ms       end of the lease
-- ARGV[4..] text   name of each watch
--
-- Returns the numbers (from 1) of those that were due, and so are leased now.

local now = tonumber(ARGV[2])

local function is_due(queue, name)
  local since = redis.call("ZSCORE", queue, name)
  return since and tonumber(since) <= now
end

local taken = {}
for number = 1, #KEYS - 2 do
  local name = ARGV[number + 3]
  if is_due(KEYS[1], name) or is_due(KEYS[2], name) then
    redis.call("HSET", KEYS[number + 2], "lease_token", ARGV[1], "lease_until", ARGV[3])
    redis.call("ZADD", KEYS[1], "XX", "GT", ARGV[3], name)
    redis.call("ZADD", KEYS[2], "XX", "GT", ARGV[3], name)
    table.insert(taken, number)
  end
end
return taken
