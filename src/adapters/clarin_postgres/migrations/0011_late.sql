-- Transactions that begin late: what they saw is locked and compared, what they kept is written.
--
-- A row's mark is its xmin, which every change of the row replaces and no lock does. As in any
-- function that is not stable, each statement sees what was committed before it: so what is asked
-- once the rows are locked is of now.

-- Raises a serialization failure unless all is as it was seen.
create function hold_seen(
    wanted bigint, seen_leads bigint[], marks bigint[], unmirrored bigint[]
) returns void language plpgsql as $$
declare
    held bigint;
begin
    select count(*) into held from (
        select l.id, l.xmin::text::bigint as mark from leads l
        where l.account_id = wanted and l.id = any(seen_leads)
        order by l.id for no key update
    ) l join unnest(seen_leads, marks) as s(id, mark) on s.id = l.id and s.mark = l.mark;
    if held <> cardinality(seen_leads) or exists (
        select from kommo_leads x
        where x.account_id = wanted and x.lead_id = any(unmirrored) and not x.is_gone
    ) then
        raise exception using errcode = '40001', message = 'a row is not as it was seen';
    end if;
end
$$;

-- As the statement leads.save, of leads that are there and keep what must be unique.
create function save_leads(wanted bigint, changed json) returns void language plpgsql as $$
begin
    update leads l set
        contact_id = n.contact_id, name = n.name, status = n.status, pipeline_id = n.pipeline_id,
        stage_id = n.stage_id, source = n.source, notes = n.notes,
        custom_fields = n.custom_fields, assigned_to = n.assigned_to, value = n.value,
        currency = n.currency, loss_reason = n.loss_reason, closed_at = n.closed_at,
        kommo_id = n.kommo_id, search = n.search, created_at = n.created_at,
        updated_at = n.updated_at, version = n.version, deleted_at = n.deleted_at
    from json_populate_recordset(null::leads, changed) n
    where l.account_id = wanted and l.id = n.id;
end
$$;

-- A whole transaction of an account, called outside of any: the account that is set, and the
-- locks, last as long as the call. As the statement events.append it returns the counter.
create function write_at_once(
    wanted bigint, seen_leads bigint[], marks bigint[], unmirrored bigint[], changed json,
    names text[], payloads bytea[], written_at timestamptz, written_by bytea,
    out last_seq bigint, out epoch uuid
) language plpgsql as $$
begin
    perform set_config('app.account_id', wanted::text, true);
    perform hold_seen(wanted, seen_leads, marks, unmirrored);
    perform save_leads(wanted, changed);
    update account_stream s set last_seq = s.last_seq + cardinality(names)
        where s.account_id = wanted
        returning s.last_seq, s.epoch into last_seq, epoch;
    insert into event_log (account_id, seq, at, name, payload, origin)
        select wanted, last_seq - cardinality(names) + e.place, written_at, e.name, e.payload,
            written_by
        from unnest(names, payloads) with ordinality as e(name, payload, place)
        where last_seq is not null;
end
$$;
