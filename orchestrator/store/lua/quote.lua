#!lua
-- quote: notes by what references an error of a session may be quoted.
--
-- KEYS[1]  session  hash    document, version, commit_id, index, stages, errors
-- KEYS[2]  quoted   hash    of the shard
--
-- ARGV[1]  text     session id
-- ARGV[2]  text     reference
-- ARGV[3]  integer  references to keep of a session
--
-- Returns {"done"}, or {"missing"}: there is no such session.

if redis.call("EXISTS", KEYS[1]) == 0 then
  return {"missing"}
end
local kept = {}
for reference in string.gmatch(redis.call("HGET", KEYS[1], "errors") or "", "[^\n]+") do
  table.insert(kept, reference)
end
table.insert(kept, ARGV[2])
redis.call("HSET", KEYS[2], ARGV[2], ARGV[1])
while #kept > tonumber(ARGV[3]) do
  redis.call("HDEL", KEYS[2], table.remove(kept, 1))
end
redis.call("HSET", KEYS[1], "errors", table.concat(kept, "\n"))
return {"done"}
