#!lua
-- note_profile: notes under which Zapier profile a user is about to be counted, so that erasing the user finds it; one
-- that a sign-in brought, while the sign-in is kept.
--
-- KEYS[1]  profiles  set   of the user
-- KEYS[2]  sign-ins  hash  of the shard
--
-- ARGV[1]  text      profile id
-- ARGV[2]  text      id of the sign-in, empty for tokens that no sign-in brought
--
-- Returns 1; or 0: the sign-in is not kept, and nothing is written.

if ARGV[2] ~= "" and redis.call("HEXISTS", KEYS[2], ARGV[2]) == 0 then
  return 0
end
redis.call("SADD", KEYS[1], ARGV[1])
return 1
