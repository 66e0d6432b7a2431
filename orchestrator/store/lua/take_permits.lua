#!lua
-- take_permits: gives permits of an egress group and a partner at once, as many as both have room for; where they are
-- for what a user does, as many as that user may hold as well.
--
-- KEYS[1]  egress    zset    permits by until when they are held
-- KEYS[2]  partner   zset    permits by until when they are held
-- KEYS[3]  cooldown  hash
-- KEYS[4]  count     string  permits ever given
-- KEYS[5]  user      zset    permits by until when they are held; absent: for no user's doing
--
-- ARGV[1]  ms        now
-- ARGV[2]  integer   permits wanted
-- ARGV[3]  ms        until when an unanswered permit is held
-- ARGV[4]  integer   permits to leave to more urgent takers
-- ARGV[5]  integer   limit of the egress group, 0 for none
-- ARGV[6]  integer   limit of the partner, 0 for none
-- ARGV[7]  text      field of the egress group in the cooldown
-- ARGV[8]  text      field of the partner in the cooldown
-- ARGV[9]  integer   limit of the user, 0 for none
-- ARGV[10] ms        how long to keep what is not written any more, for clearing away
--
-- Returns {0 or the moment (text, ms) of possible room, permit ids}.

local now, wanted, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local cooldown = redis.call("HMGET", KEYS[3], ARGV[7], ARGV[8])
local sides = {
  {held = KEYS[1], limit = tonumber(ARGV[5]), reserve = reserve, cooldown_until = tonumber(cooldown[1] or 0)},
  {held = KEYS[2], limit = tonumber(ARGV[6]), reserve = reserve, cooldown_until = tonumber(cooldown[2] or 0)},
}
if KEYS[5] then
  table.insert(sides, {held = KEYS[5], limit = tonumber(ARGV[9]), reserve = 0, cooldown_until = 0})
end

local room = wanted
for _, side in ipairs(sides) do
  redis.call("ZREMRANGEBYSCORE", side.held, "-inf", ARGV[1])
  if side.cooldown_until > now then
    room = 0
  elseif side.limit > 0 then
    room = math.min(room, side.limit - side.reserve - redis.call("ZCARD", side.held))
  end
end

local permits = {}
for _ = 1, room do
  local permit = redis.call("INCR", KEYS[4])
  for _, side in ipairs(sides) do
    redis.call("ZADD", side.held, ARGV[3], permit)
  end
  table.insert(permits, permit)
end
if KEYS[5] and #permits > 0 then
  redis.call("PEXPIRE", KEYS[5], ARGV[10])
end
if #permits >= wanted then
  return {"0", permits}
end

local retry_at = 0
for _, side in ipairs(sides) do
  retry_at = math.max(retry_at, side.cooldown_until)
  local excess = side.limit > 0 and redis.call("ZCARD", side.held) - (side.limit - side.reserve) + 1 or 0
  if excess > 0 then
    local first = redis.call("ZRANGE", side.held, excess - 1, excess - 1, "WITHSCORES")
    retry_at = math.max(retry_at, tonumber(first[2]))
  end
end
return {string.format("%.0f", retry_at), permits}
