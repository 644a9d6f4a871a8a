create or replace function crm_sync.retry_delay(p_failures integer, p_base interval, p_cap interval) returns interval
language sql volatile parallel safe
return least(p_cap, p_base * power(2, least(greatest(p_failures, 1) - 1, 20))) * (0.75 + random() / 2);
comment on function crm_sync.retry_delay(integer, interval, interval) is 'Worker: exponential back-off with a quarter of jitter either way.';
