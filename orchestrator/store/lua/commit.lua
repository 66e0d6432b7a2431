#!lua
-- commit: writes one decision (session, events, log, indexes, watches, receipt) whole or not at all.
--
-- KEYS[1]  session  hash    document, version, commit_id, index, stages, errors
-- KEYS[2]  events   stream  of the session
-- KEYS[3]  signals  list    of the session
-- KEYS[4]  outbox   stream  of the shard
-- KEYS[5]  wake     zset    of the shard
-- KEYS[6]  index    zset    of the tenant in the shard
-- KEYS[7]  open     zset    the user's sessions that have not ended
-- KEYS[8]  apps     set     app ids of the user's watches
-- KEYS[9]  strong   zset    of the shard
-- KEYS[10] quiet    zset    of the shard
-- KEYS[11] visible  zset    of the shard
-- KEYS[12] kept     zset    of the shard
-- KEYS[13] receipts hash    of the user
-- KEYS[14] good     zset    receipts of the shard
-- KEYS[15] refs     hash    references of the user
-- KEYS[16] access   hash    the user's credential, read only
-- KEYS[17] waiting  hash    of the tenant in the shard
-- KEYS[18] hour     hash    counts of the shard
-- KEYS[19] minute   hash    counts of the shard
-- KEYS[20..]       four for each watch that is named in ARGV[19]: hash, waiters (set), popups (zset), claims (hash);
--                  then, for an audit entry, audit (hash) and its index (zset);
--                  then, for a check that ends, pages (hash of the shard)
--
-- ARGV[1]  text     session id
-- ARGV[2]  integer  version that was read, 0 when there was no session
-- ARGV[3]  text     id of this commit
-- ARGV[4]  ms       now
-- ARGV[5]  JSON     document
-- ARGV[6]  ms       created_at
-- ARGV[7]  lines    index members
-- ARGV[8]  0 or 1   whether the session has ended
-- ARGV[9]  ms       wake_at, empty for never
-- ARGV[10] JSON     signal record, empty for none
-- ARGV[11] integer  events to keep
-- ARGV[12] integer  signal records to keep
-- ARGV[13] integer  outbox entries to keep, about
-- ARGV[14] text     channel of the session
-- ARGV[15] text     channel of due watches
-- ARGV[16] ms       a retry_at that means paused
-- ARGV[17] JSON     guards: {watch, kind, ...}, see `holds`
-- ARGV[18] JSON     effects: {watch, kind, ...}, see `apply`, or `finish` for one of kind "end"
-- ARGV[19] JSON     watches: {name, app}; `watch` above counts them from 1
-- ARGV[20] text     name of the receipt, empty for none
-- ARGV[21] JSON     receipt
-- ARGV[22] ms       until when it is good
-- ARGV[23] text     what names it inside the shard
-- ARGV[24] text     reference of the session, empty for none
-- ARGV[25] text     channel of outboxes
-- ARGV[26] text     who waits, empty for nobody
-- ARGV[27] lines    stages the session came to, each followed by its field in the counts
-- ARGV[28] lines    fields of popups in the counts
-- ARGV[29] lines    fields of titles in the hour, each followed by the title
-- ARGV[30] integer  seconds to keep an hour
-- ARGV[31] integer  seconds to keep a minute
-- ARGV[32] JSON     audit entry: {id, members, entry}, empty for none
-- ARGV[33] text     id of the commit that had written what was read, empty for whichever
-- ARGV[34] text     id of the tenant
-- ARGV[35..]       seq (integer) and event (JSON) by turns
--
-- Returns {"done", access, next, lost}; {"repeated", access, next}: the session's last commit was this one, nothing
-- changed; {"receipt", JSON}: the user has a good receipt of this name; {"stale", document}: another
-- version; {"guard"}; {"lease", watch}: a guard does not hold; {"taken", id}: the session is new, and that one has its reference. `access` is
-- generation, account, state, profile_id, email and expires_at, `next` strong and quiet of each watch, as they are now;
-- `lost` is how many events had to leave the outbox unsent to make room.

local now = tonumber(ARGV[4])
local watches = ARGV[19] == "[]" and {} or cjson.decode(ARGV[19])

for number, watch in ipairs(watches) do
  local first = 20 + 4 * (number - 1)
  watch.hash, watch.waiters, watch.popups, watch.claims = KEYS[first], KEYS[first + 1], KEYS[first + 2], KEYS[first + 3]
end

local before = redis.call("HMGET", KEYS[1], "version", "commit_id", "index", "stages")
-- Whoever repeats a commit waits for replicas anew, and these are only waited for by who writes.
local function written_again()
  if before[1] then
    redis.call("HSET", KEYS[1], "version", before[1])
  end
end

local function seen()
  local next_checks = {}
  for _, watch in ipairs(watches) do
    for number, queue in ipairs({KEYS[9], KEYS[10]}) do
      if watch.placed then
        table.insert(next_checks, watch.placed[number])
      else
        table.insert(next_checks, redis.call("ZSCORE", queue, watch.name))
      end
    end
  end
  local standing = redis.call("HMGET", KEYS[16], "generation", "account", "state", "profile_id", "email", "expires_at",
    "reason", "has_refresh_token")
  return standing, next_checks
end

if before[2] == ARGV[3] then
  written_again()
  return {"repeated", seen()}
end
if ARGV[20] ~= "" then
  local receipt = redis.call("HGET", KEYS[13], ARGV[20])
  if receipt and cjson.decode(receipt)["until"] > now then
    return {"receipt", receipt}
  end
end
-- A commit that a failover lost may have had the number of another one; a session that was trimmed has no commit's id.
local is_another = ARGV[33] ~= "" and before[2] and before[2] ~= ARGV[33]
if is_another or tonumber(before[1] or 0) ~= tonumber(ARGV[2]) then
  written_again()
  return {"stale", redis.call("HGET", KEYS[1], "document")}
end

-- Reads what is kept of a watch, once.
local function kept_of(watch)
  if not watch.kept then
    watch.kept = redis.call("HMGET", watch.hash, "version", "strong", "quiet", "retry_at", "lease_until", "checks",
      "lease_token")
    watch.strong, watch.quiet = tonumber(watch.kept[2]), tonumber(watch.kept[3])
  end
  return watch.kept
end

local holds = {
  -- authentication, since: nobody claimed it since then
  unclaimed = function(watch, guard)
    local claim = redis.call("HGET", watch.claims, guard.authentication)
    return not claim or tonumber(string.match(claim, "^%d+")) < guard.since
  end,
  -- waiter: no popup but this waiter's may still yield an authentication
  alone = function(watch, guard)
    local own = guard.waiter .. ":"
    for _, popup in ipairs(redis.call("ZRANGE", watch.popups, "(" .. ARGV[4], "+inf", "BYSCORE")) do
      if string.sub(popup, 1, #own) ~= own then
        return false
      end
    end
    return true
  end,
  -- token: the watch's lease
  lease = function(watch, guard)
    return kept_of(watch)[7] == guard.token
  end,
  -- version: of the watch
  untouched = function(watch, guard)
    return tonumber(kept_of(watch)[1] or 0) == guard.version
  end,
}

for _, guard in ipairs(ARGV[17] == "[]" and {} or cjson.decode(ARGV[17])) do
  if not holds[guard.kind](watches[guard.watch], guard) then
    return guard.kind == "lease" and {"lease", guard.watch} or {"guard"}
  end
end

local referred = ARGV[24] ~= "" and redis.call("HGET", KEYS[15], ARGV[24])
if referred and not before[1] then
  return {"taken", referred}
end

-- Only this can fail (were the session's numbering wrong), so it comes before every other write.
for at = 35, #ARGV, 2 do
  redis.call("XADD", KEYS[2], "MAXLEN", "=", ARGV[11], ARGV[at] .. "-0", "event", ARGV[at + 1])
end
for at = 35, #ARGV, 2 do
  redis.call("XADD", KEYS[4], "0-*", "session", ARGV[1], "tenant", ARGV[34], "event", ARGV[at + 1])
end

local function count(counts, field, kept_s)
  if redis.call("HINCRBY", counts, field, 1) == 1 then
    redis.call("EXPIRE", counts, kept_s)
  end
end

local stages = before[4] or ""
for stage, field in string.gmatch(ARGV[27], "([^\n]+)\n([^\n]+)") do
  if not string.find(stages, stage .. ";", 1, true) then
    stages = stages .. stage .. ";"
    count(KEYS[18], field, ARGV[30])
  end
end
redis.call("HSET", KEYS[1], "document", ARGV[5], "version", ARGV[2] + 1, "commit_id", ARGV[3], "index", ARGV[7], "stages", stages)

if ARGV[10] ~= "" and redis.call("RPUSH", KEYS[3], ARGV[10]) > tonumber(ARGV[12]) then
  redis.call("LTRIM", KEYS[3], -ARGV[12], -1)
end

if ARGV[32] ~= "" then
  local audit, index, kept = KEYS[20 + 4 * #watches], KEYS[21 + 4 * #watches], cjson.decode(ARGV[32])
  redis.call("HSET", audit, kept.id, kept.entry)
  for _, member in ipairs(kept.members) do
    redis.call("ZADD", index, 0, member)
  end
end

if ARGV[9] ~= "" then
  redis.call("ZADD", KEYS[5], ARGV[9], ARGV[1])
else
  redis.call("ZREM", KEYS[5], ARGV[1])
end

if before[3] ~= ARGV[7] then
  local gone, come = {}, {}
  for member in string.gmatch(before[3] or "", "[^\n]+") do
    table.insert(gone, member)
  end
  for member in string.gmatch(ARGV[7], "[^\n]+") do
    table.insert(come, 0)
    table.insert(come, member)
  end
  if #gone > 0 then
    redis.call("ZREM", KEYS[6], unpack(gone))
  end
  redis.call("ZADD", KEYS[6], unpack(come))
end

if ARGV[26] ~= "" then
  redis.call("HSET", KEYS[17], ARGV[1], ARGV[26])
elseif string.find(before[3] or "", "waiting:", 1, true) then
  redis.call("HDEL", KEYS[17], ARGV[1])
end

for field in string.gmatch(ARGV[28], "[^\n]+") do
  count(KEYS[18], field, ARGV[30])
  count(KEYS[19], field, ARGV[31])
end
for field, title in string.gmatch(ARGV[29], "([^\n]+)\n([^\n]*)") do
  if redis.call("HSET", KEYS[18], field, title) == 1 then
    redis.call("EXPIRE", KEYS[18], ARGV[30], "NX")
  end
end

if ARGV[20] ~= "" then
  redis.call("HSET", KEYS[13], ARGV[20], ARGV[21])
  redis.call("ZADD", KEYS[14], ARGV[22], ARGV[23])
end

if ARGV[8] == "1" then
  redis.call("ZREM", KEYS[7], ARGV[1])
  if referred == ARGV[1] then
    redis.call("HDEL", KEYS[15], ARGV[24])
  end
else
  redis.call("ZADD", KEYS[7], ARGV[6], ARGV[1])
  if ARGV[24] ~= "" and not referred then
    redis.call("HSET", KEYS[15], ARGV[24], ARGV[1])
  end
end

-- Clears away what is over, before the first effect of a step.
local function touch(watch)
  watch.is_touched = true
  if not kept_of(watch)[1] then
    redis.call("SADD", KEYS[8], watch.app)
  else
    redis.call("ZREMRANGEBYSCORE", watch.popups, "-inf", ARGV[4])
  end
  if redis.call("HLEN", watch.claims) == 0 then
    redis.call("ZADD", KEYS[12], ARGV[4], watch.name)
  end
end

local function sooner(kept, at)
  return kept and at and math.min(kept, at) or kept or at
end

-- Of a step's popups forgets those that are over soonest, but not the one that has just been opened.
local function only_newest(popups, opened, most)
  local waiter, own = string.match(opened, "^(.*:)[^:]*$"), {}
  for _, popup in ipairs(redis.call("ZRANGE", popups, 0, -1)) do
    if popup ~= opened and string.sub(popup, 1, #waiter) == waiter then
      table.insert(own, popup)
    end
  end
  for number = 1, #own - most + 1 do
    redis.call("ZREM", popups, own[number])
  end
end

local apply = {
  -- waiter, strong or absent, quiet or absent, visible
  wait = function(watch, effect)
    redis.call("SADD", watch.waiters, effect.waiter)
    watch.is_left = false
    if redis.call("SCARD", watch.waiters) == 1 then
      watch.strong, watch.quiet = effect.strong, effect.quiet
      redis.call("ZADD", KEYS[11], effect.visible, watch.name)
    else
      watch.strong, watch.quiet = sooner(watch.strong, effect.strong), sooner(watch.quiet, effect.quiet)
      redis.call("ZADD", KEYS[11], "GT", effect.visible, watch.name)
    end
  end,
  -- waiter
  stop = function(watch, effect)
    redis.call("SREM", watch.waiters, effect.waiter)
    watch.is_left = redis.call("SCARD", watch.waiters) == 0
    if watch.is_left then
      watch.strong, watch.quiet = nil, nil
      redis.call("ZREM", KEYS[11], watch.name)
    end
  end,
  -- popup, until, most: so many of one step are kept
  open = function(watch, effect)
    redis.call("ZADD", watch.popups, effect["until"], effect.popup)
    if redis.call("ZCARD", watch.popups) > effect.most then
      only_newest(watch.popups, effect.popup, effect.most)
    end
  end,
  -- popup
  close = function(watch, effect)
    redis.call("ZREM", watch.popups, effect.popup)
  end,
  -- authentication, claim
  claim = function(watch, effect)
    redis.call("HSET", watch.claims, effect.authentication, effect.claim)
  end,
  -- authentication, waiter
  release = function(watch, effect)
    local claim = redis.call("HGET", watch.claims, effect.authentication)
    if claim and string.match(claim, " (.*)$") == effect.waiter then
      redis.call("HDEL", watch.claims, effect.authentication)
    end
  end,
}

-- Ends the check of a watch, as settle.lua does: writes its counters, frees its lease, lets it want what was computed.
local function finish(watch)
  local ended, kept, fields = watch.ended, kept_of(watch), watch.fields
  watch.gone = {"lease_token", "lease_until", "retry_at"}
  kept[4], kept[5] = false, false
  local checks = {}
  for check in string.gmatch((kept[6] or "") .. " " .. ended.begun, "%d+") do
    table.insert(checks, check)
  end
  for _, value in ipairs({"failures", 0, "checks", table.concat(checks, " ", math.max(1, #checks - ended.most + 1))}) do
    table.insert(fields, value)
  end
  if ended.pages ~= 1 then
    redis.call("HSET", KEYS[#KEYS], watch.name, ended.pages)
  else
    redis.call("HDEL", KEYS[#KEYS], watch.name)
  end
  if watch.is_left then
    return
  end
  local waiters, told = redis.call("SMEMBERS", watch.waiters), {[ARGV[1]] = true}
  if #waiters > 0 then
    watch.strong, watch.quiet = ended.strong, ended.quiet
    redis.call("ZADD", KEYS[11], ended.visible, watch.name)
  else
    watch.strong, watch.quiet = nil, nil
    redis.call("ZREM", KEYS[11], watch.name)
  end
  for _, waiter in ipairs(waiters) do
    local session_id = string.match(waiter, "^[^:]+")
    if not told[session_id] then
      told[session_id] = true
      redis.call("PUBLISH", string.sub(ARGV[14], 1, -#ARGV[1] - 1) .. session_id, "")
    end
  end
end

-- Writes what a watch wants, and puts it where that, its lease and its retry_at say; answers whether it is due now.
local function place(watch)
  local kept, fields, gone, due = kept_of(watch), watch.fields, watch.gone, false
  local held_until = math.max(tonumber(kept[4] or 0), tonumber(kept[5] or 0))
  watch.placed = {false, false}
  for number, urgency in ipairs({"strong", "quiet"}) do
    local wanted, queue = watch[urgency], KEYS[8 + number]
    if wanted then
      table.insert(fields, urgency)
      table.insert(fields, wanted)
    elseif kept[1 + number] then
      table.insert(gone, urgency)
    end
    if wanted and kept[4] ~= ARGV[16] then
      local at = math.max(wanted, held_until)
      redis.call("ZADD", queue, at, watch.name)
      watch.placed[number] = at
      due = due or at <= now
    elseif kept[1] then
      redis.call("ZREM", queue, watch.name)
    end
  end
  redis.call("HSET", watch.hash, unpack(fields))
  if #gone > 0 then
    redis.call("HDEL", watch.hash, unpack(gone))
  end
  return due
end

for _, effect in ipairs(ARGV[18] == "[]" and {} or cjson.decode(ARGV[18])) do
  local watch = watches[effect.watch]
  if effect.kind == "end" then
    watch.ended = effect
  else
    if not watch.is_touched then
      touch(watch)
    end
    apply[effect.kind](watch, effect)
  end
end

local due = false
for _, watch in ipairs(watches) do
  if watch.is_touched or watch.ended then
    -- With the time in it no version comes twice, even where a failover loses a commit.
    watch.fields = watch.is_touched and {"version", math.max((watch.kept[1] or 0) + 1, now)} or {}
    watch.gone = {}
    if watch.ended then
      finish(watch)
    end
    due = place(watch) or due
  end
end

redis.call("PUBLISH", ARGV[14], ARGV[3])
local lost = 0
if #ARGV > 34 then
  local waiting = redis.call("XLEN", KEYS[4])
  if waiting == (#ARGV - 34) / 2 then
    redis.call("PUBLISH", ARGV[25], "")
  elseif waiting > tonumber(ARGV[13]) then
    lost = redis.call("XTRIM", KEYS[4], "MAXLEN", "~", ARGV[13])
  end
end
if due then
  redis.call("PUBLISH", ARGV[15], "")
end
local access, next_checks = seen()
return {"done", access, next_checks, lost}
