#!lua
-- lease_lanes: takes lanes in which something is due.
--
-- KEYS[1]  lanes     zset    of the shard
-- KEYS[2]  holders   hash    of the shard
-- KEYS[3]  held      hash    of the shard
-- KEYS[4]  troubled  hash    of the shard
-- KEYS[5..]          lanes (hash) of each lane's session
--
-- ARGV[1]  ms        now
-- ARGV[2]  ms        until when they are leased
-- ARGV[3]  text      token of the lease
-- ARGV[4]  integer   how many lanes of one endpoint may be held
-- ARGV[5]  ms        how long a delivery that failed holds its lane
-- ARGV[6]  JSON      lanes, in the order of KEYS: {name, endpoint}
-- ARGV[7]  integer   after so many failures in a row an endpoint has but one lane at a time
--
-- Returns for each lane the seq whose turn it is, 0 for a lane that was not taken.

local now = tonumber(ARGV[1])

local function turn(pending)
  table.sort(pending, function(one, other) return one[1] < other[1] end)
  local at, seq, held_until = nil, nil, 0
  for _, queued in ipairs(pending) do
    local mine = math.max(queued[3], held_until)
    if not at or mine < at then
      at, seq = mine, queued[1]
    end
    if queued[2] == 0 then
      break
    end
    held_until = math.max(held_until, queued[2] + ARGV[5])
  end
  return at, seq
end

local function free(lane)
  if redis.call("HDEL", KEYS[2], lane.name) == 1 and redis.call("HINCRBY", KEYS[3], lane.endpoint, -1) <= 0 then
    redis.call("HDEL", KEYS[3], lane.endpoint)
  end
end

local function take(lane, pending)
  if not pending then
    free(lane)
    redis.call("ZREM", KEYS[1], lane.name)
    return 0
  end
  local at, seq = turn(cjson.decode(pending))
  if at > now then
    free(lane)
    redis.call("ZADD", KEYS[1], at, lane.name)
    return 0
  end
  if redis.call("HEXISTS", KEYS[2], lane.name) == 0 then
    local failures = tonumber(redis.call("HGET", KEYS[4], lane.endpoint) or 0)
    local most = failures < tonumber(ARGV[7]) and tonumber(ARGV[4]) or 1
    if tonumber(redis.call("HGET", KEYS[3], lane.endpoint) or 0) >= most then
      return 0
    end
    redis.call("HINCRBY", KEYS[3], lane.endpoint, 1)
  end
  redis.call("HSET", KEYS[2], lane.name, ARGV[3])
  redis.call("ZADD", KEYS[1], ARGV[2], lane.name)
  return seq
end

local taken = {}
for number, lane in ipairs(cjson.decode(ARGV[6])) do
  local due = redis.call("ZSCORE", KEYS[1], lane.name)
  if due and tonumber(due) <= now then
    taken[number] = take(lane, redis.call("HGET", KEYS[4 + number], lane.endpoint))
  else
    taken[number] = 0
  end
end
return taken
