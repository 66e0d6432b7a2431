#!lua
-- change_record: changes fields of a record that is there.
--
-- KEYS[1]   record  hash
--
-- ARGV[1..] text    field and value by turns; none to change nothing
--
-- Returns fields and values of the record afterwards, none when it is not there.

if redis.call("EXISTS", KEYS[1]) == 1 and #ARGV > 0 then
  redis.call("HSET", KEYS[1], unpack(ARGV))
end
return redis.call("HGETALL", KEYS[1])
