#!lua flags=allow-oom
-- give_back_permit: a permit's call was never sent: frees it; an answered one stays held.
--
-- KEYS[1]  egress   zset
-- KEYS[2]  partner  zset
-- KEYS[3..] user   zset, where it was taken for what a user does
--
-- ARGV[1]  text     permit id
--
-- Returns {"done"}.

for _, held in ipairs(KEYS) do
  redis.call("ZREM", held, ARGV[1])
end
return {"done"}
