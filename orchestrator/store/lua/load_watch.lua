#!lua flags=no-writes
-- load_watch: reads everything about one watch, and sessions of its user, at one moment.
--
-- KEYS[1]  watch    hash
-- KEYS[2]  waiters  set
-- KEYS[3]  popups   zset
-- KEYS[4]  claims   hash
-- KEYS[5]  strong   zset  of the shard
-- KEYS[6]  quiet    zset  of the shard
-- KEYS[7]  pages    hash  of the shard
-- KEYS[8..]         hash of each session
--
-- ARGV[1]  text     the watch's name
-- ARGV[2]  ms       now
--
-- Returns {fields and values of the hash, waiters, popups and their ends, ids and claims, strong due or false,
-- quiet due or false, pages or false, the document of each session or false}.

local documents = {}
for number = 8, #KEYS do
  table.insert(documents, redis.call("HGET", KEYS[number], "document"))
end
return {
  redis.call("HGETALL", KEYS[1]),
  redis.call("SMEMBERS", KEYS[2]),
  redis.call("ZRANGE", KEYS[3], "(" .. ARGV[2], "+inf", "BYSCORE", "WITHSCORES"),
  redis.call("HGETALL", KEYS[4]),
  redis.call("ZSCORE", KEYS[5], ARGV[1]),
  redis.call("ZSCORE", KEYS[6], ARGV[1]),
  redis.call("HGET", KEYS[7], ARGV[1]),
  documents,
}
