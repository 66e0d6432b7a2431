#!lua
-- put_credential: keeps a user's new access token under the next generation.
--
-- KEYS[1]  credential  hash
-- KEYS[2]  profiles    set   under which the user is counted
--
-- ARGV[1]  bytes  the sealed token
-- ARGV[2]  text   state
-- ARGV[3]  text   account when the profile is known; otherwise the beginning of a name the generation completes
-- ARGV[4]  text   profile id, empty when unknown
-- ARGV[5]  text   masked e-mail address, empty when unknown
-- ARGV[6]  ms     when the token expires, empty when unknown
--
-- Returns {generation (integer), account}.

local generation = redis.call("HINCRBY", KEYS[1], "generation", 1)
local account = ARGV[4] ~= "" and ARGV[3] or ARGV[3] .. generation
redis.call("HSET", KEYS[1], "sealed", ARGV[1], "state", ARGV[2], "account", account)
for field, value in pairs({profile_id = ARGV[4], email = ARGV[5], expires_at = ARGV[6]}) do
  if value ~= "" then
    redis.call("HSET", KEYS[1], field, value)
  else
    redis.call("HDEL", KEYS[1], field)
  end
end
if ARGV[4] ~= "" then
  redis.call("SADD", KEYS[2], ARGV[4])
end
return {generation, account}
