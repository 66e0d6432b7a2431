#!lua
-- record: appends to a session's signal log and changes nothing else.
--
-- KEYS[1]  session  hash
-- KEYS[2]  signals  list
--
-- ARGV[1]  JSON     signal record
-- ARGV[2]  integer  signal records to keep
--
-- Returns {"done"}, or {"missing"}: there is no such session.

if redis.call("EXISTS", KEYS[1]) == 0 then
  return {"missing"}
end
redis.call("RPUSH", KEYS[2], ARGV[1])
redis.call("LTRIM", KEYS[2], -ARGV[2], -1)
return {"done"}
