#!lua
-- wake_lanes: lets every lane of an endpoint in which something is pending be looked at now.
--
-- KEYS[1]  lanes    zset  of the shard
-- KEYS[2]  holders  hash  of the shard
-- KEYS[3]  index    zset  deliveries of the shard
--
-- ARGV[1]  text     beginning of the members of the endpoint's pending deliveries
-- ARGV[2]  text     endpoint
-- ARGV[3]  ms       now
--
-- Returns how many deliveries are pending.

local members = redis.call("ZRANGE", KEYS[3], "[" .. ARGV[1], "(" .. ARGV[1] .. "\255", "BYLEX")
for _, member in ipairs(members) do
  local lane = ARGV[2] .. ":" .. string.match(member, "^%d+:([^:]+):", #ARGV[1] + 1)
  if redis.call("HEXISTS", KEYS[2], lane) == 0 then
    redis.call("ZADD", KEYS[1], "XX", ARGV[3], lane)
  end
end
return #members
