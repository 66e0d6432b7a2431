#!lua flags=allow-oom
-- erase: erases everything of a user that lies in their shard, at one moment.
--
-- KEYS[1]  index       zset    of the tenant in the shard
-- KEYS[2]  wake        zset    of the shard
-- KEYS[3]  outbox      stream  of the shard
-- KEYS[4]  strong      zset    of the shard
-- KEYS[5]  quiet       zset    of the shard
-- KEYS[6]  visible     zset    of the shard
-- KEYS[7]  kept        zset    of the shard
-- KEYS[8]  pages       hash    of the shard
-- KEYS[9]  good        zset    receipts of the shard
-- KEYS[10] receipts    hash    of the user
-- KEYS[11] open        zset    the user's sessions that have not ended
-- KEYS[12] refs        hash    references of the user
-- KEYS[13] apps        set     app ids of the user's watches
-- KEYS[14] profiles    set     Zapier profiles the user is counted under
-- KEYS[15] credential  hash    of the user
-- KEYS[16] untold      set     of the shard
-- KEYS[17] lanes       zset    of the shard
-- KEYS[18] holders     hash    of the shard
-- KEYS[19] held        hash    of the shard
-- KEYS[20] deliveries  zset    of the shard
-- KEYS[21] sign-ins    hash    of the shard
-- KEYS[22] kept        zset    sign-ins of the shard
-- KEYS[23] calls       list    made for the user
-- KEYS[24] waiting     hash    of the tenant in the shard
-- KEYS[25] quoted      hash    of the shard
-- KEYS[26] generation  string  of the shard: the highest of the credentials that were erased
-- KEYS[27] own         zset    ids of the user's sign-ins
-- KEYS[28..]           eight for each session: hash, events (stream), signals (list), and of its webhooks endpoints,
--                      lanes, deliveries, messages (hashes), deleted endpoints (zset);
--                      then four for each watch: hash, waiters (set), popups (zset), claims (hash)
--
-- ARGV[1]  text        beginning of the index members of all sessions of the user
-- ARGV[2]  text        beginning of what names the user's receipts inside the shard
-- ARGV[3]  text        beginning of the channels of sessions
-- ARGV[4]  JSON        ids of the sessions that are known, in the order of KEYS
-- ARGV[5]  JSON        watches that are known, in the order of KEYS: {name, app}
-- ARGV[6]  JSON        ids of the profiles that are known
-- ARGV[7]  text        what names the user inside the shard
--
-- Returns {"done"}, also when there is nothing; or {"again"}: there is more than what is known, nothing changed.

-- The members in an index; in that of a trimmed session "@" stands for how the first one ends.
local function members(index)
  return string.gmatch(string.gsub(index, "@", string.match(index, "^[^:]*:[^:]*:([^\n]*)") or "@"), "[^\n]+")
end

local session_ids, watches = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])

local known = {}
for _, session_id in ipairs(session_ids) do
  known["session " .. session_id] = true
end
for _, watch in ipairs(watches) do
  known["app " .. watch.app] = true
end
for _, profile_id in ipairs(cjson.decode(ARGV[6])) do
  known["profile " .. profile_id] = true
end

for _, member in ipairs(redis.call("ZRANGE", KEYS[1], "[" .. ARGV[1], "(" .. ARGV[1] .. "\255", "BYLEX")) do
  if not known["session " .. string.match(member, "[^:]*$")] then
    return {"again"}
  end
end
for kind, set in pairs({app = KEYS[13], profile = KEYS[14]}) do
  for _, member in ipairs(redis.call("SMEMBERS", set)) do
    if not known[kind .. " " .. member] then
      return {"again"}
    end
  end
end

-- Takes a session's webhooks out of what the shard has in common.
local function leave(session_id, lanes, deliveries)
  for _, endpoint in ipairs(redis.call("HKEYS", lanes)) do
    local lane = endpoint .. ":" .. session_id
    redis.call("ZREM", KEYS[17], lane)
    if redis.call("HDEL", KEYS[18], lane) == 1 and redis.call("HINCRBY", KEYS[19], endpoint, -1) <= 0 then
      redis.call("HDEL", KEYS[19], endpoint)
    end
  end
  local kept = redis.call("HGETALL", deliveries)
  for place = 1, #kept, 2 do
    local endpoint, delivery = string.match(kept[place], "^(.*):%d+$"), cjson.decode(kept[place + 1])
    local time = string.format("%015d", delivery.created_at)
    redis.call("ZREM", KEYS[20], table.concat({endpoint, delivery.state, time, session_id, delivery.seq}, ":"))
    redis.call("ZREM", KEYS[20], table.concat({"!dead", time, endpoint, session_id, string.format("%015d", delivery.seq)}, ":"))
  end
end

for number, session_id in ipairs(session_ids) do
  local first = 28 + 8 * (number - 1)
  for member in members(redis.call("HGET", KEYS[first], "index") or "") do
    redis.call("ZREM", KEYS[1], member)
  end
  redis.call("ZREM", KEYS[2], session_id)
  redis.call("HDEL", KEYS[24], session_id)
  for reference in string.gmatch(redis.call("HGET", KEYS[first], "errors") or "", "[^\n]+") do
    redis.call("HDEL", KEYS[25], reference)
  end
  leave(session_id, KEYS[first + 4], KEYS[first + 5])
  for own = first, first + 7 do
    redis.call("DEL", KEYS[own])
  end
end

-- By pieces, so that not all of a long stream has to be held at once.
local after = #session_ids > 0 and "-"
while after do
  local entries = redis.call("XRANGE", KEYS[3], after, "+", "COUNT", 500)
  for _, entry in ipairs(entries) do
    if known["session " .. entry[2][2]] then
      redis.call("XDEL", KEYS[3], entry[1])
    end
  end
  after = #entries == 500 and "(" .. entries[500][1]
end

for number, watch in ipairs(watches) do
  local first = 28 + 8 * #session_ids + 4 * (number - 1)
  redis.call("DEL", KEYS[first], KEYS[first + 1], KEYS[first + 2], KEYS[first + 3])
  for queue = 4, 7 do
    redis.call("ZREM", KEYS[queue], watch.name)
  end
  redis.call("HDEL", KEYS[8], watch.name)
end

for _, name in ipairs(redis.call("HKEYS", KEYS[10])) do
  redis.call("ZREM", KEYS[9], ARGV[2] .. name)
end
-- Whoever still has tokens of this credential in hand must not take a later one, of the same user, for it.
local generation = tonumber(redis.call("HGET", KEYS[15], "generation") or 0)
if generation > tonumber(redis.call("GET", KEYS[26]) or 0) then
  redis.call("SET", KEYS[26], generation)
end
for own = 10, 15 do
  redis.call("DEL", KEYS[own])
end
redis.call("DEL", KEYS[23])
redis.call("SREM", KEYS[16], ARGV[7])

for _, sign_in_id in ipairs(redis.call("ZRANGE", KEYS[27], 0, -1)) do
  redis.call("HDEL", KEYS[21], sign_in_id)
  redis.call("ZREM", KEYS[22], sign_in_id)
end
redis.call("DEL", KEYS[27])

for _, session_id in ipairs(session_ids) do
  redis.call("PUBLISH", ARGV[3] .. session_id, "")
end
return {"done"}
