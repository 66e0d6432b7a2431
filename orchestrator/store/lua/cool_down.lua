#!lua flags=allow-oom
-- cool_down: no permit of these sides is given before a moment; a later one that was set stays.
--
-- KEYS[1]  cooldown  hash
--
-- ARGV[1]  ms        until when
-- ARGV[2..] text    fields
--
-- Returns {"done"}.

for number = 2, #ARGV do
  local kept = tonumber(redis.call("HGET", KEYS[1], ARGV[number]) or 0)
  if tonumber(ARGV[1]) > kept then
    redis.call("HSET", KEYS[1], ARGV[number], ARGV[1])
  end
end
return {"done"}
