"""The statements that make a large CRM in a database that has accounts and little else.

Each makes the rows of one table for all accounts at once, spread over the last year, in the order
of their times and so of their ids, as months of use leave them: what belongs together does not lie
together. `size` is the temporary table of how much each account gets, `person` and `phrase` are
those of names and texts. Chance is PostgreSQL's, with a seed.
"""

# Nobody can guess how many rows chance makes; a nested loop over them would take hours.
SESSION = """
    set work_mem = '256MB';
    set maintenance_work_mem = '512MB';
    set enable_nestloop = off;
    set enable_mergejoin = off"""

TEMPORARY = """
    create temporary table size (
        account_id bigint primary key, contacts integer, leads integer, chats integer,
        messages integer, at timestamptz
    );
    create temporary table person (id integer primary key, name text, last_name text);
    create temporary table phrase (id integer primary key, body text)"""

TAGS = """
    insert into tags (account_id, name, key, search, color, origin, created_at, updated_at, version)
    select s.account_id, 'tag-' || n, 'tag-' || n, 'tag-' || n, '#3366cc', 'local', s.at, s.at, 1
    from size s, generate_series(1, 20) n"""

DEVICES = """
    insert into devices (
        account_id, name, phone, jid, status, is_wanted, created_at, updated_at, version)
    select s.account_id, 'Line ' || n, '+5190000000' || n, '5190000000' || n || '@s.whatsapp.net',
        'disconnected', false, s.at, s.at, 1
    from size s, generate_series(1, 2) n"""

CONTACTS = """
    insert into contacts (
        account_id, phone, name, last_name, email, company, source, is_group, do_not_contact,
        created_at, updated_at, version, search, name_key)
    select n.account_id, '+519' || lpad(n.place::text, 8, '0'), p.name, p.last_name, n.email,
        n.company, 'whatsapp', false, false, n.at, n.at, 1,
        concat_ws(e'\\n', lower(p.name || ' ' || p.last_name), n.email, lower(n.company)),
        lower(p.name || ' ' || p.last_name)
    from (
        select s.account_id, place, s.at - random() * interval '365 days' as at,
            1 + floor(random() * (select count(*) from person))::integer as person,
            case when random() < 0.6 then 'person' || place || '@example.com' end as email,
            case when random() < 0.2 then 'Company ' || place % 500 end as company
        from size s, generate_series(1, s.contacts) place
    ) n join person p on p.id = n.person
    order by n.at"""

IDENTITIES = """
    insert into contact_identities (account_id, kind, value, contact_id, created_at)
    select c.account_id, 'phone_jid', substr(c.phone, 2), c.id, c.created_at from contacts c"""

LEADS = """
    insert into leads (
        account_id, contact_id, name, status, pipeline_id, stage_id, source, notes, custom_fields,
        assigned_to, value, currency, closed_at, created_at, updated_at, version, search)
    select n.account_id, c.id, p.name || ' ' || p.last_name,
        case g.kind when 'won' then 'won' when 'lost' then 'lost' else 'contacted' end,
        g.pipeline_id, g.id, n.source, h.body, '{"budget": "1200"}', m.user_id, n.value, 'PEN',
        case when g.kind <> 'open' then n.at end, n.at, n.at, 1,
        lower(p.name || ' ' || p.last_name)
    from (
        select s.account_id, 1 + place % s.contacts as contact,
            s.at - random() * interval '365 days' as at,
            1 + floor(random() * (select count(*) from person))::integer as person,
            1 + floor(random() * (select count(*) * 2 from phrase))::integer as phrase,
            floor(random() * 1000000)::integer as stage, floor(random() * 900000)::bigint as value,
            (array['whatsapp', 'csv', 'web', null])[1 + floor(random() * 4)::integer] as source
        from size s, generate_series(1, s.leads) place
    ) n
    join (
        select c.account_id, c.id,
            row_number() over (partition by c.account_id order by c.id) as place
        from contacts c
    ) c on c.account_id = n.account_id and c.place = n.contact
    join (
        select g.account_id, g.id, g.pipeline_id, g.kind,
            row_number() over (partition by g.account_id order by g.position) - 1 as place,
            count(*) over (partition by g.account_id) as of
        from stages g
    ) g on g.account_id = n.account_id and g.place = n.stage % g.of
    join person p on p.id = n.person
    left join phrase h on h.id = n.phrase
    left join memberships m on m.account_id = n.account_id and n.stage % 2 = 0
    order by n.at"""

LEAD_TAGS = """
    insert into lead_tags (account_id, lead_id, tag_id, origin)
    select n.account_id, n.id, t.id, 'local'
    from (
        select l.account_id, l.id, floor(random() * 5)::integer as many,
            floor(random() * 20)::integer as first
        from leads l
    ) n
    join (
        select t.account_id, t.id,
            row_number() over (partition by t.account_id order by t.id) - 1 as place
        from tags t
    ) t on t.account_id = n.account_id and (t.place - n.first + 20) % 20 < n.many"""

CHATS = """
    insert into chats (
        account_id, device_id, kind, value, contact_id, name, unread_count, is_archived, is_pinned,
        created_at, updated_at, version, search)
    select s.account_id, d.id, 'phone_jid', substr(c.phone, 2), c.id, c.name || ' ' || c.last_name,
        0, c.place % 20 = 0, c.place % 200 = 1, c.created_at, c.created_at, 1, c.name_key
    from size s
    join (
        select c.account_id, c.id, c.phone, c.name, c.last_name, c.name_key, c.created_at,
            row_number() over (partition by c.account_id order by c.id) as place
        from contacts c
    ) c on c.account_id = s.account_id and c.place <= s.chats
    join (
        select d.account_id, d.id,
            row_number() over (partition by d.account_id order by d.id) - 1 as place
        from devices d
    ) d on d.account_id = s.account_id and d.place = c.place % 2
    order by c.created_at"""

CHAT_TAGS = """
    insert into chat_tags (account_id, chat_id, tag_id, origin)
    select h.account_id, h.id, t.id, 'local'
    from chats h
    join (
        select t.account_id, t.id,
            row_number() over (partition by t.account_id order by t.id) as place
        from tags t
    ) t on t.account_id = h.account_id and t.place = h.id % 40"""

# The square makes some chats long: the first hundredth of them has a tenth of the messages.
MESSAGES = """
    insert into messages (
        account_id, chat_id, device_id, wa_message_id, direction, sender_kind, sender_value,
        sender_name, kind, body, details, status, sent_at, created_at, updated_at, version, search)
    select n.account_id, h.id, h.device_id,
        '3EB0' || lpad(upper(to_hex(n.place)), 18, '0'), case when n.is_in then 'in' else 'out' end,
        case when n.is_in then h.kind end, case when n.is_in then h.value end,
        case when n.is_in then h.name end, 'text', p.body, '{}',
        case when n.is_in then 'received' else 'read' end, n.at, n.at, n.at, 1, lower(p.body)
    from (
        select s.account_id, place, random() < 0.5 as is_in,
            1 + floor(s.chats * power(random(), 2))::integer as chat,
            1 + floor(random() * (select count(*) from phrase))::integer as phrase,
            s.at - random() * interval '365 days' as at
        from size s, generate_series(1, s.messages) place
    ) n
    join (
        select h.account_id, h.id, h.device_id, h.kind, h.value, h.name,
            row_number() over (partition by h.account_id order by h.id) as place
        from chats h
    ) h on h.account_id = n.account_id and h.place = n.chat
    join phrase p on p.id = n.phrase
    order by n.at"""

# Every third chat was read to its third newest message, the others to the end.
TALLIES = """
    update chats h set
        last_message = left(l.body, 200), last_message_at = l.sent_at, last_message_id = l.id,
        read_up_to_at = r.sent_at, read_up_to_id = r.id, updated_at = l.sent_at,
        unread_count = (
            select count(*) from messages m
            where m.account_id = h.account_id and m.chat_id = h.id and m.direction = 'in'
                and m.revoked_at is null and (m.sent_at, m.id) > (r.sent_at, r.id)
        )
    from chats c
    cross join lateral (
        select m.id, m.body, m.sent_at from messages m
        where m.account_id = c.account_id and m.chat_id = c.id
        order by m.sent_at desc, m.id desc limit 1
    ) l
    cross join lateral (
        select coalesce(min(m.id), l.id) as id, coalesce(min(m.sent_at), l.sent_at) as sent_at
        from (
            select m.id, m.sent_at from messages m
            where m.account_id = c.account_id and m.chat_id = c.id
            order by m.sent_at desc, m.id desc
            limit 1 offset case when c.id % 3 = 0 then 2 else 0 end
        ) m
    ) r
    where h.account_id = c.account_id and h.id = c.id"""

# As after a week without a change: the log has its number, and nothing is left in it. Beside it
# stand the totals of what is listed: an archived chat is not.
STREAMS = """
    update account_stream a
    set last_seq = a.last_seq + s.contacts + s.leads + s.chats + s.messages,
        trimmed_to = a.last_seq + s.contacts + s.leads + s.chats + s.messages,
        leads = s.leads, contacts = s.contacts, chats = (
            select count(*) from chats h where h.account_id = s.account_id and not h.is_archived)
    from size s where s.account_id = a.account_id"""
NO_EVENTS = "delete from event_log"

STEPS = {
    "tags": TAGS,
    "devices": DEVICES,
    "contacts": CONTACTS,
    "contact_identities": IDENTITIES,
    "leads": LEADS,
    "lead_tags": LEAD_TAGS,
    "chats": CHATS,
    "chat_tags": CHAT_TAGS,
    "messages": MESSAGES,
}
"""Each table with the statement that fills it, in an order that their links allow."""

ENDS = (TALLIES, STREAMS, NO_EVENTS)

INDEXES = """
    select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as text
    from pg_index i
    where i.indrelid = $1::text::regclass
        and not exists (select from pg_constraint c where c.conindid = i.indexrelid)"""
LINKS = """
    select quote_ident(c.conname) as name, pg_get_constraintdef(c.oid) as text
    from pg_constraint c where c.conrelid = $1::text::regclass and c.contype = 'f'"""
