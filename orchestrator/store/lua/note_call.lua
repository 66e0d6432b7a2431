#!lua
-- note_call: counts a call to Zapier, and keeps it among the newest of its user, unless they were erased meanwhile.
--
-- KEYS[1]  credential  hash  of the user
-- KEYS[2]  calls       list  of the user
-- KEYS[3]  hour        hash  of the shard
-- KEYS[4]  minute      hash  of the shard
--
-- ARGV[1]  JSON     record
-- ARGV[2]  integer  records to keep
-- ARGV[3]  ms       how long to keep them
-- ARGV[4]  text     field of hour and minute
-- ARGV[5]  seconds  how long to keep the hour
-- ARGV[6]  seconds  how long to keep the minute
--
-- Returns 1, or 0 for a user of whom nothing is kept.

redis.call("HINCRBY", KEYS[3], ARGV[4], 1)
redis.call("EXPIRE", KEYS[3], ARGV[5])
redis.call("HINCRBY", KEYS[4], ARGV[4], 1)
redis.call("EXPIRE", KEYS[4], ARGV[6])
if redis.call("EXISTS", KEYS[1]) == 0 then
  return 0
end
redis.call("RPUSH", KEYS[2], ARGV[1])
redis.call("LTRIM", KEYS[2], -ARGV[2], -1)
redis.call("PEXPIRE", KEYS[2], ARGV[3])
return 1
