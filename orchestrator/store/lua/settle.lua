#!lua
-- settle: ends a check: writes its counters and the watch's next due times, and frees the lease.
--
-- KEYS[1]  watch    hash
-- KEYS[2]  waiters  set
-- KEYS[3]  strong   zset  of the shard
-- KEYS[4]  quiet    zset  of the shard
-- KEYS[5]  visible  zset  of the shard
-- KEYS[6]  pages    hash  of the shard
-- KEYS[7]  credential hash
--
-- ARGV[1]  text     the watch's name
-- ARGV[2]  text     lease token
-- ARGV[3]  integer  version on which the due times were computed
-- ARGV[4]  ms       now
-- ARGV[5]  ms       strong due, empty for none
-- ARGV[6]  ms       quiet due, empty for none
-- ARGV[7]  ms       visible until
-- ARGV[8]  ms       beginning of a complete listing, empty for none
-- ARGV[9]  integer  listings to keep
-- ARGV[10] integer  pages
-- ARGV[11] integer  failures
-- ARGV[12] ms       retry_at, empty for none
-- ARGV[13] ms       a retry_at that means paused: only as long as the credential is of the generation below
-- ARGV[14] text     channel of due watches
-- ARGV[15] integer  generation of the credential for which the watch is paused, 0: there is none; empty without a pause
-- ARGV[16] text     channel of a session's commits, without its id: those that wait are told when the next check is due
--
-- Returns {"done"}; {"lease"}: the token is not the watch's; {"stale"}: a commit touched the watch since.

local kept = redis.call("HMGET", KEYS[1], "lease_token", "version", "checks")
if kept[1] ~= ARGV[2] then
  return {"lease"}
end
if tonumber(kept[2] or 0) ~= tonumber(ARGV[3]) then
  return {"stale"}
end

local retry_at = ARGV[12]
if retry_at == ARGV[13] and (redis.call("HGET", KEYS[7], "generation") or "0") ~= ARGV[15] then
  retry_at = ""
end

redis.call("HDEL", KEYS[1], "lease_token", "lease_until")
redis.call("HSET", KEYS[1], "failures", ARGV[11])

if ARGV[8] ~= "" then
  local checks = {}
  for check in string.gmatch((kept[3] or "") .. " " .. ARGV[8], "%d+") do
    table.insert(checks, check)
  end
  local oldest = math.max(1, #checks - ARGV[9] + 1)
  redis.call("HSET", KEYS[1], "checks", table.concat(checks, " ", oldest))
end

if ARGV[10] ~= "1" then
  redis.call("HSET", KEYS[6], ARGV[1], ARGV[10])
else
  redis.call("HDEL", KEYS[6], ARGV[1])
end

if retry_at ~= "" then
  redis.call("HSET", KEYS[1], "retry_at", retry_at)
else
  redis.call("HDEL", KEYS[1], "retry_at")
end

local is_wanted = redis.call("EXISTS", KEYS[2]) == 1
local due = false
for urgency, next_due in pairs({strong = {KEYS[3], ARGV[5]}, quiet = {KEYS[4], ARGV[6]}}) do
  local queue, want = unpack(next_due)
  if is_wanted and want ~= "" then
    redis.call("HSET", KEYS[1], urgency, want)
  else
    redis.call("HDEL", KEYS[1], urgency)
  end
  if is_wanted and want ~= "" and retry_at ~= ARGV[13] then
    local at = math.max(tonumber(want), tonumber(retry_at) or 0)
    redis.call("ZADD", queue, at, ARGV[1])
    due = due or at <= tonumber(ARGV[4])
  else
    redis.call("ZREM", queue, ARGV[1])
  end
end

if is_wanted then
  redis.call("ZADD", KEYS[5], ARGV[7], ARGV[1])
else
  redis.call("ZREM", KEYS[5], ARGV[1])
end

if due then
  redis.call("PUBLISH", ARGV[14], "")
end
local told = {}
for _, waiter in ipairs(redis.call("SMEMBERS", KEYS[2])) do
  local session_id = string.match(waiter, "^[^:]+")
  if not told[session_id] then
    told[session_id] = true
    redis.call("PUBLISH", ARGV[16] .. session_id, "")
  end
end
return {"done"}
