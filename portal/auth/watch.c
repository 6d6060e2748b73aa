/* Whether a live stream may go on. */
#include <stdlib.h>
#include <string.h>

#include "portal/auth/auth_private.h"
#include "portal/core/clock.h"

#define EVERY_MS 2000

struct auth_watch {
    struct db *db;
    struct arena *arena;
    const struct principal *opened; /* as it was when the stream began */
    const char *team;
    int64_t checked_ms;
    bool stands;
};

struct auth_watch *auth_watch_new(struct db *db, const struct principal *p, const char *team)
{
    struct auth_watch *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->db = db;
    w->arena = arena_new();
    w->opened = principal_copy(p, w->arena);
    w->team = arena_strdup(w->arena, team);
    w->checked_ms = clock_mono_ms();
    w->stands = true;
    return w;
}

/* Everything that could be read at the start can still be. */
static bool reads_as_much(const struct principal *now, const struct principal *then)
{
    if (then->global_roles & ROLE_VIEWER)
        return now->global_roles & ROLE_VIEWER;
    for (unsigned i = 0; i < then->n_teams; i++)
        if (then->teams[i].roles & ROLE_VIEWER && !auth_has(now, ROLE_VIEWER, then->teams[i].team))
            return false;
    return true;
}

bool auth_watch_check(void *arg)
{
    struct auth_watch *w = arg;
    int64_t now_ms = clock_mono_ms();
    if (!w->stands || now_ms - w->checked_ms < EVERY_MS)
        return w->stands;
    ARENA_AUTO a = arena_new();
    DB_CONN_AUTO c = NULL;
    struct principal *now = NULL;
    const struct principal *then = w->opened;
    int idle = auth_instance() ? auth_instance()->o.idle_minutes : 0;
    int x = db_take(w->db, &c, NULL);
    if (!x)
        x = then->session_id ? load_session(c, NULL, then->session_id, idle, a, &now, NULL) : load_token(c, NULL, then->token_id, a, &now, NULL);
    w->checked_ms = now_ms;
    if (x == 0)
        w->stands = w->team ? auth_has(now, ROLE_VIEWER, w->team) : reads_as_much(now, then);
    else if (x == ERR_UNAUTHENTICATED)
        w->stands = false;
    return w->stands;
}

void auth_watch_free(void *arg)
{
    struct auth_watch *w = arg;
    if (!w)
        return;
    arena_free(w->arena);
    free(w);
}
