-- The price book, discounts, and where prices came from.

create table price_import (
    id          bigint generated always as identity primary key,
    kind        text not null check (kind in ('builtin', 'import')),
    name        text not null,                      -- the file, or what the importer called it
    format      text not null,                      -- soma, aws-json, aws-csv, azure
    source      text not null,
    digest      text not null default '',           -- of the shipped files: they are read again when it changes
    as_of       date not null,                      -- the day the list stands for
    prices      bigint not null default 0,
    skipped     bigint not null default 0,          -- products of the list that Soma has no sku for
    imported_by text not null default 'system',
    imported_at timestamptz not null default now()
);

-- One row for each tier of a price. `rank` says which wins where several hold: 3 of one's own, 2 imported, 1 shipped.
create table price (
    id         bigint generated always as identity primary key,
    import_id  bigint references price_import on delete cascade,
    rank       smallint not null check (rank between 1 and 3),
    provider   text not null,
    service    text not null,
    region     text not null,                       -- '*': every commercial region; 'global'
    sku        text not null,
    term       text not null default 'on_demand',
    unit       text not null,
    tier_from  numeric not null default 0 check (tier_from >= 0),
    tier_to    numeric check (tier_to > tier_from),
    amount     numeric not null check (amount >= 0),
    currency   text not null check (currency ~ '^[A-Z]{3}$'),
    attributes jsonb not null default '{}',         -- of the vendor's own list: its sku and the like
    source     text not null,
    dated      date not null,                       -- the day the source stands for
    valid_from date,                                -- null: from before that day
    valid_to   date check (valid_to >= valid_from),
    check ((rank = 3) = (import_id is null))
);
create unique index price_own on price (provider, service, region, sku, term, tier_from, coalesce(valid_from, dated)) where rank = 3;
create index price_key on price (sku, region, service, provider, term);
create index price_of_import on price (import_id);

create table discount (
    name       text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    provider   text not null,
    service    text not null default '',            -- '': every service
    region     text not null default '',            -- '': every region
    sku_prefix text not null default '',            -- '': every sku
    percent    numeric not null check (percent > 0 and percent <= 100),
    reason     text not null default '',
    valid_from date not null default current_date,
    valid_to   date check (valid_to >= valid_from),
    changed_by text not null,
    changed_at timestamptz not null default now()
);

-- The rows of one price on a day, all of one list: of those that hold, the highest rank, then the newest. The region itself comes before '*', which is not China's nor
-- the US government's. A price of one's own holds by the calendar, a listed one by the day of the estimate.
create function price_find(p_provider text, p_service text, p_region text, p_sku text, p_term text, p_as_of date)
returns table (amount numeric, tier_from numeric, tier_to numeric, unit text, currency text, source text, dated date, percent numeric, discount text)
language sql stable as $$
    with holds as (
        select p.*, dense_rank() over (order by (p.region = '*'), p.rank desc, coalesce(p.valid_from, p.dated) desc, p.import_id desc) as place
          from price p
         where p.sku = p_sku and p.service = p_service and p.provider = p_provider and p.term = p_term
           and (p.region = p_region or (p.region = '*' and p_region !~ '^(cn|us-gov)-'))
           and coalesce(p.valid_from, '-infinity') <= case p.rank when 3 then greatest(current_date, p_as_of) else p_as_of end
           and (p.valid_to is null or p.valid_to >= case p.rank when 3 then current_date else p_as_of end)
    )
    select h.amount, h.tier_from, h.tier_to, h.unit, h.currency, h.source, coalesce(h.valid_from, h.dated), d.percent, d.name
      from holds h
      left join lateral (
        select d.percent, d.name from discount d
         where h.rank < 3 and d.provider = p_provider and d.service in ('', p_service) and d.region in ('', p_region) and starts_with(p_sku, d.sku_prefix)
           and d.valid_from <= current_date and (d.valid_to is null or d.valid_to >= current_date)
         order by length(d.sku_prefix) desc, length(d.service) desc, length(d.region) desc, d.name limit 1) d on true
     where h.place = 1
     order by h.tier_from
$$;

-- The day that listed prices are taken at: the newest of the lists.
create function price_as_of() returns date language sql stable as $$ select coalesce(max(as_of), current_date) from price_import $$;
