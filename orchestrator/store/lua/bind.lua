#!lua
-- bind: keeps what a request's body was for a while, unless it is kept already.
--
-- KEYS[1]  bound    string  until when (ms), a space, the fingerprint
--
-- ARGV[1]  text     fingerprint
-- ARGV[2]  ms       now
-- ARGV[3]  ms       until when it is kept
--
-- Returns the fingerprint that is kept.

local kept_until, fingerprint = string.match(redis.call("GET", KEYS[1]) or "", "^(%d+) (.*)$")
if fingerprint and tonumber(kept_until) > tonumber(ARGV[2]) then
  return fingerprint
end
redis.call("SET", KEYS[1], ARGV[3] .. " " .. ARGV[1], "PX", math.max(1, ARGV[3] - ARGV[2]))
return ARGV[1]
