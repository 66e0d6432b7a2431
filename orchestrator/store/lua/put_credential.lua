#!lua flags=allow-oom
-- put_credential: keeps a user's new tokens under the next generation and unpauses the user's watches; those that
-- somebody waits on are due now. (A paused watch is never leased.) Tokens that a refresh brought belong to the account
-- of those before, and take the place of no others; they are kept in a store that is full, too: nobody else has them.
-- Tokens that a sign-in brought are kept while the sign-in is: with the user it would have been erased.
--
-- KEYS[1]  credential  hash
-- KEYS[2]  profiles    set   under which the user is counted
-- KEYS[3]  untold      set   of the shard
-- KEYS[4]  apps        set   app ids of the user's watches
-- KEYS[5]  strong      zset  of the shard
-- KEYS[6]  quiet       zset  of the shard
-- KEYS[7]  erased      string  of the shard: the highest generation of a credential that was erased
-- KEYS[8]  sign-ins    hash  of the shard
-- KEYS[9..]           two for each watch: hash, waiters (set)
--
-- ARGV[1]  bytes  the sealed tokens
-- ARGV[2]  text   state
-- ARGV[3]  text   account when the profile is known; otherwise the beginning of a name the generation completes
-- ARGV[4]  text   profile id, empty when unknown
-- ARGV[5]  text   masked e-mail address, empty when unknown
-- ARGV[6]  ms     when the token expires, empty when unknown
-- ARGV[7]  text   what names the user inside the shard
-- ARGV[8]  ms     now
-- ARGV[9]  ms     a retry_at that means paused
-- ARGV[10] text   channel of due watches
-- ARGV[11] text   "1" when a refresh token is among the tokens, else empty
-- ARGV[12] integer  generation that was refreshed, empty for tokens that no refresh brought
-- ARGV[13] text   id of the refresh
-- ARGV[14] text   id of the sign-in, empty for tokens that no sign-in brought
-- ARGV[15..] text two for each watch: app id, name
--
-- Returns {"done", generation (integer), account}, also for a refresh that was written before; {"stale"}: the generation
-- is another one; {"gone"}: the sign-in is not kept; {"uncounted"}: the user was erased since they were counted under the
-- profile; {"watches", app ids}: these were not all given. Nothing is written then.

local is_refresh = ARGV[12] ~= ""
if is_refresh then
  local kept = redis.call("HMGET", KEYS[1], "generation", "refreshed_by", "account")
  if kept[2] == ARGV[13] then
    return {"done", tonumber(kept[1]), kept[3]}
  end
  if kept[1] ~= ARGV[12] then
    return {"stale"}
  end
end
if ARGV[14] ~= "" and redis.call("HEXISTS", KEYS[8], ARGV[14]) == 0 then
  return {"gone"}
end
if ARGV[4] ~= "" and redis.call("SISMEMBER", KEYS[2], ARGV[4]) == 0 then
  return {"uncounted"}
end

local given = {}
for at = 15, #ARGV, 2 do
  given[ARGV[at]] = true
end
local apps = redis.call("SMEMBERS", KEYS[4])
for _, app in ipairs(apps) do
  if not given[app] then
    return {"watches", apps}
  end
end

local before = redis.call("HMGET", KEYS[1], "state", "account")
if not before[1] then
  redis.call("HSET", KEYS[1], "generation", redis.call("GET", KEYS[7]) or 0)
end
local generation = redis.call("HINCRBY", KEYS[1], "generation", 1)
local fields = {expires_at = ARGV[6], has_refresh_token = ARGV[11], refreshed_by = ARGV[13], refresh = "", reason = ""}
if not is_refresh then
  fields.account = ARGV[4] ~= "" and ARGV[3] or ARGV[3] .. generation
  fields.profile_id, fields.email = ARGV[4], ARGV[5]
end
redis.call("HSET", KEYS[1], "sealed", ARGV[1], "state", ARGV[2])
for field, value in pairs(fields) do
  if value ~= "" then
    redis.call("HSET", KEYS[1], field, value)
  else
    redis.call("HDEL", KEYS[1], field)
  end
end
if before[1] ~= ARGV[2] or (fields.account and before[2] ~= fields.account) then
  redis.call("SADD", KEYS[3], ARGV[7])
end

local due = false
for number = 1, (#ARGV - 14) / 2 do
  local watch, waiters, name = KEYS[2 * number + 7], KEYS[2 * number + 8], ARGV[2 * number + 14]
  local kept = redis.call("HMGET", watch, "retry_at", "quiet", "version")
  if kept[1] == ARGV[9] then
    redis.call("HDEL", watch, "retry_at", "failures")
    redis.call("HSET", watch, "version", math.max((kept[3] or 0) + 1, tonumber(ARGV[8])))
    if redis.call("EXISTS", waiters) == 1 then
      redis.call("HSET", watch, "strong", ARGV[8])
      redis.call("ZADD", KEYS[5], ARGV[8], name)
      if kept[2] then
        redis.call("ZADD", KEYS[6], kept[2], name)
      end
      due = true
    end
  end
end
if due then
  redis.call("PUBLISH", ARGV[10], "")
end
return {"done", generation, redis.call("HGET", KEYS[1], "account")}
