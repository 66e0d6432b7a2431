#!lua
-- write_sign_in: writes a sign-in that is as far as was read, or that is new. Of too many of its user the oldest go;
-- those that are being finished go last: Zapier may have handed out tokens for them.
--
-- KEYS[1]  sign-ins  hash  of the shard
-- KEYS[2]  kept      zset  of the shard
-- KEYS[3]  own       zset  of the user
--
-- ARGV[1]  text      id
-- ARGV[2]  text      state that was read, empty for a new one
-- ARGV[3]  JSON      sign-in
-- ARGV[4]  ms        until when it is kept
-- ARGV[5]  ms        when it was begun
-- ARGV[6]  integer   sign-ins to keep of a user
-- ARGV[7]  text      state of one that is being finished
--
-- Returns 1; or 0: it is further, or not there any more, and nothing is written.

local kept = redis.call("HGET", KEYS[1], ARGV[1])
if (kept and cjson.decode(kept).state or "") ~= ARGV[2] then
  return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
redis.call("ZADD", KEYS[3], ARGV[5], ARGV[1])

for _, spared in ipairs({ARGV[7], ""}) do
  local own = redis.call("ZRANGE", KEYS[3], 0, -1)
  local left = #own - ARGV[6]
  for _, id in ipairs(own) do
    if left > 0 and id ~= ARGV[1] and cjson.decode(redis.call("HGET", KEYS[1], id) or "{}").state ~= spared then
      redis.call("HDEL", KEYS[1], id)
      redis.call("ZREM", KEYS[2], id)
      redis.call("ZREM", KEYS[3], id)
      left = left - 1
    end
  end
end
return 1
