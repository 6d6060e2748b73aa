-- How deliveries and links to Slack users look to the API. What lies sealed, and what a message says, is not shown.

create or replace function delivery_json(d notify_delivery) returns jsonb language sql stable as $$
    select jsonb_build_object('id', d.id, 'kind', d.kind, 'channel', d.channel, 'address', d.address, 'person', (select a.name from account a where a.id = d.person),
        'about', d.about, 'state', d.state, 'attempts', d.attempts, 'error', d.error, 'created_at', auth_time(d.created_at), 'ended_at', auth_time(d.ended_at))
$$;

create or replace function slack_user_json(s slack_user) returns jsonb language sql stable as $$
    select jsonb_build_object('person', (select a.name from account a where a.id = s.person), 'user', s.user_id, 'team', s.team_id, 'linked_by', s.linked_by,
        'created_at', auth_time(s.created_at))
$$;

grant execute on function delivery_json(notify_delivery), slack_user_json(slack_user) to soma_app;
