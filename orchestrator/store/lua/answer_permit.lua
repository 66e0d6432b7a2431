#!lua flags=allow-oom
-- answer_permit: a permit's call was answered: it is held for one more window, and can no longer be given back.
--
-- KEYS[1]  egress   zset
-- KEYS[2]  partner  zset
-- KEYS[3..] user   zset, where it was taken for what a user does
--
-- ARGV[1]  text     permit id
-- ARGV[2]  ms       until when it is held
--
-- Returns {"done"}.

for _, held in ipairs(KEYS) do
  -- In this order: a set that is empty for a moment forgets when the server may clear it away.
  redis.call("ZADD", held, "GT", ARGV[2], ARGV[1] .. "!")
  redis.call("ZREM", held, ARGV[1])
end
return {"done"}
