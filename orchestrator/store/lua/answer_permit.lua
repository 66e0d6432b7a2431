#!lua flags=allow-oom
-- answer_permit: a permit's call was answered: it is held for one more window, and can no longer be given back.
--
-- KEYS[1]  egress   zset
-- KEYS[2]  partner  zset
--
-- ARGV[1]  text     permit id
-- ARGV[2]  ms       until when it is held
--
-- Returns {"done"}.

for _, held in ipairs({KEYS[1], KEYS[2]}) do
  redis.call("ZREM", held, ARGV[1])
  redis.call("ZADD", held, "GT", ARGV[2], ARGV[1] .. "!")
end
return {"done"}
