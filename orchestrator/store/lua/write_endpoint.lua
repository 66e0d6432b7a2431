#!lua
-- write_endpoint: writes a webhook endpoint over the version that was read.
--
-- KEYS[1]  endpoints  hash     of its tenant, or of its session
-- KEYS[2]  session    hash     its session's; the endpoints again for one of a tenant
-- KEYS[3]  deleted    zset     endpoints of its tenant, or of its session, read only
--
-- ARGV[1]  text       id
-- ARGV[2]  JSON       endpoint
-- ARGV[3]  integer    version that was read, 0 for a new one
-- ARGV[4]  integer    how many there may be
-- ARGV[5]  ms         now, for a new one
--
-- Returns {"done"}; or {"stale"}: it has another version; {"missing"}: it is gone; {"full"}; {"no session"}.

local kept = redis.call("HGET", KEYS[1], ARGV[1])
if ARGV[3] == "0" then
  if KEYS[1] ~= KEYS[2] and redis.call("EXISTS", KEYS[2]) == 0 then
    return {"no session"}
  end
  if kept then
    return {"stale"}
  end
  local deleted_until = redis.call("ZSCORE", KEYS[3], ARGV[1])
  if deleted_until and tonumber(deleted_until) > tonumber(ARGV[5]) then
    return {"missing"}
  end
  if redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[4]) then
    return {"full"}
  end
elseif not kept then
  return {"missing"}
elseif cjson.decode(kept).version ~= tonumber(ARGV[3]) then
  return {"stale"}
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
return {"done"}
