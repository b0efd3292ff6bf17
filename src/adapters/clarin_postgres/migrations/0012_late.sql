-- Transactions that begin late: what they saw is locked and compared, what they kept is written.
--
-- A row's mark is its xmin, which every change of the row replaces and no lock does. As in any
-- function that is not stable, each statement sees what was committed before it: so what is asked
-- once the rows are locked is of now. Whoever was overtaken gets a serialization failure.

create function fail_overtaken() returns void language plpgsql as $$
begin
    raise exception using errcode = '40001', message = 'something is not as it was seen';
end
$$;

-- Pipelines get a shared lock, as whoever only relies on them takes it.
create function hold_seen(
    wanted bigint,
    seen_pipelines bigint[], pipeline_marks bigint[],
    seen_contacts bigint[], contact_marks bigint[],
    seen_leads bigint[], lead_marks bigint[],
    seen_tags bigint[], tag_marks bigint[], unmirrored bigint[]
) returns void language plpgsql as $$
declare
    held bigint;
begin
    if cardinality(seen_pipelines) > 0 then
        select count(*) into held from (
            select p.id, p.xmin::text::bigint as mark from pipelines p
            where p.account_id = wanted and p.id = any(seen_pipelines)
            order by p.id for share
        ) p join unnest(seen_pipelines, pipeline_marks) as s(id, mark)
            on s.id = p.id and s.mark = p.mark;
        if held <> cardinality(seen_pipelines) then perform fail_overtaken(); end if;
    end if;
    if cardinality(seen_contacts) > 0 then
        select count(*) into held from (
            select c.id, c.xmin::text::bigint as mark from contacts c
            where c.account_id = wanted and c.id = any(seen_contacts)
            order by c.id for no key update
        ) c join unnest(seen_contacts, contact_marks) as s(id, mark)
            on s.id = c.id and s.mark = c.mark;
        if held <> cardinality(seen_contacts) then perform fail_overtaken(); end if;
    end if;
    if cardinality(seen_leads) > 0 then
        select count(*) into held from (
            select l.id, l.xmin::text::bigint as mark from leads l
            where l.account_id = wanted and l.id = any(seen_leads)
            order by l.id for no key update
        ) l join unnest(seen_leads, lead_marks) as s(id, mark)
            on s.id = l.id and s.mark = l.mark;
        if held <> cardinality(seen_leads) then perform fail_overtaken(); end if;
    end if;
    if cardinality(seen_tags) > 0 then
        select count(*) into held from (
            select t.id, t.xmin::text::bigint as mark from tags t
            where t.account_id = wanted and t.id = any(seen_tags)
            order by t.id for key share
        ) t join unnest(seen_tags, tag_marks) as s(id, mark) on s.id = t.id and s.mark = t.mark;
        if held <> cardinality(seen_tags) then perform fail_overtaken(); end if;
    end if;
    if cardinality(unmirrored) > 0 and exists (
        select from kommo_leads x
        where x.account_id = wanted and x.lead_id = any(unmirrored) and not x.is_gone
    ) then
        perform fail_overtaken();
    end if;
end
$$;

-- As the statements that save and add rows of these kinds, of rows that nothing can refuse but
-- somebody who was quicker: then a contact's phone is taken, or a tag is there.
create function write_kept(wanted bigint, kept json) returns void language plpgsql as $$
declare
    made bigint;
begin
    if kept->'new_contacts' is not null then
        insert into contacts (
            account_id, id, phone, name, last_name, short_name, custom_name, push_name,
            avatar_url, email, company, age, notes, source, is_group, do_not_contact, kommo_id,
            search, name_key, created_at, updated_at, version)
        select wanted, n.id, n.phone, n.name, n.last_name, n.short_name, n.custom_name,
            n.push_name, n.avatar_url, n.email, n.company, n.age, n.notes, n.source, n.is_group,
            n.do_not_contact, n.kommo_id, n.search, n.name_key, n.created_at, n.updated_at,
            n.version
        from json_populate_recordset(null::contacts, kept->'new_contacts') n
        on conflict (account_id, phone) where deleted_at is null and phone is not null do nothing;
        get diagnostics made = row_count;
        if made <> json_array_length(kept->'new_contacts') then perform fail_overtaken(); end if;
    end if;
    if kept->'contacts' is not null then
        update contacts c set
            phone = n.phone, name = n.name, last_name = n.last_name, short_name = n.short_name,
            custom_name = n.custom_name, push_name = n.push_name, avatar_url = n.avatar_url,
            email = n.email, company = n.company, age = n.age, notes = n.notes,
            source = n.source, is_group = n.is_group, do_not_contact = n.do_not_contact,
            kommo_id = n.kommo_id, search = n.search, name_key = n.name_key,
            created_at = n.created_at, updated_at = n.updated_at, version = n.version,
            deleted_at = n.deleted_at, merged_into = n.merged_into
        from json_populate_recordset(null::contacts, kept->'contacts') n
        where c.account_id = wanted and c.id = n.id;
    end if;
    if kept->'new_leads' is not null then
        insert into leads (
            account_id, id, contact_id, name, status, pipeline_id, stage_id, source, notes,
            custom_fields, assigned_to, value, currency, loss_reason, closed_at, kommo_id, search,
            created_at, updated_at, version)
        select wanted, n.id, n.contact_id, n.name, n.status, n.pipeline_id, n.stage_id, n.source,
            n.notes, n.custom_fields, n.assigned_to, n.value, n.currency, n.loss_reason,
            n.closed_at, n.kommo_id, n.search, n.created_at, n.updated_at, n.version
        from json_populate_recordset(null::leads, kept->'new_leads') n;
    end if;
    if kept->'leads' is not null then
        update leads l set
            contact_id = n.contact_id, name = n.name, status = n.status,
            pipeline_id = n.pipeline_id, stage_id = n.stage_id, source = n.source,
            notes = n.notes, custom_fields = n.custom_fields, assigned_to = n.assigned_to,
            value = n.value, currency = n.currency, loss_reason = n.loss_reason,
            closed_at = n.closed_at, kommo_id = n.kommo_id, search = n.search,
            created_at = n.created_at, updated_at = n.updated_at, version = n.version,
            deleted_at = n.deleted_at
        from json_populate_recordset(null::leads, kept->'leads') n
        where l.account_id = wanted and l.id = n.id;
    end if;
    if kept->'moves' is not null then
        insert into stage_moves (account_id, lead_id, from_stage, to_stage, actor, at)
        select wanted, n.lead_id, n.from_stage, n.to_stage, n.actor, n.at
        from json_populate_recordset(null::stage_moves, kept->'moves') n;
    end if;
    if kept->'lead_tags' is not null then
        insert into lead_tags (account_id, lead_id, tag_id, origin)
        select wanted, n.lead_id, n.tag_id, n.origin
        from json_populate_recordset(null::lead_tags, kept->'lead_tags') n
        order by n.lead_id, n.tag_id
        on conflict do nothing;
        get diagnostics made = row_count;
        if made <> json_array_length(kept->'lead_tags') then perform fail_overtaken(); end if;
    end if;
end
$$;

-- A whole transaction of an account, called outside of any: the account that is set, and the
-- locks, last as long as the call. As the statement events.append it returns the counter.
create function write_at_once(
    wanted bigint,
    seen_pipelines bigint[], pipeline_marks bigint[],
    seen_contacts bigint[], contact_marks bigint[],
    seen_leads bigint[], lead_marks bigint[],
    seen_tags bigint[], tag_marks bigint[], unmirrored bigint[],
    kept json, names text[], payloads bytea[], written_at timestamptz, written_by bytea,
    more_leads bigint, more_contacts bigint, more_chats bigint,
    out last_seq bigint, out epoch uuid
) language plpgsql as $$
begin
    perform set_config('app.account_id', wanted::text, true);
    perform hold_seen(
        wanted, seen_pipelines, pipeline_marks, seen_contacts, contact_marks, seen_leads,
        lead_marks, seen_tags, tag_marks, unmirrored);
    perform write_kept(wanted, kept);
    update account_stream s set
            last_seq = s.last_seq + cardinality(names),
            leads = s.leads + more_leads,
            contacts = s.contacts + more_contacts,
            chats = s.chats + more_chats
        where s.account_id = wanted
        returning s.last_seq, s.epoch into last_seq, epoch;
    insert into event_log (account_id, seq, at, name, payload, origin)
        select wanted, last_seq - cardinality(names) + e.place, written_at, e.name, e.payload,
            written_by
        from unnest(names, payloads) with ordinality as e(name, payload, place)
        where last_seq is not null;
end
$$;

-- What is kept has its ids before it is written.
grant usage on sequence contacts_id_seq, leads_id_seq to clarin_service;
