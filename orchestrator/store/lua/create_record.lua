#!lua
-- create_record: keeps a record that is not there yet.
--
-- KEYS[1]   record  hash
--
-- ARGV[1..] text    field and value by turns
--
-- Returns 1, or 0: it is there, and is left as it is.

if redis.call("EXISTS", KEYS[1]) == 1 then
  return 0
end
redis.call("HSET", KEYS[1], unpack(ARGV))
return 1
