-- CLOCK: the server's time, which decides between hosts whose clocks differ.
--
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, Unix time in us}
return {ARGV[1], now_us('')}
