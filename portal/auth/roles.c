/* Rights of a principal. The one complication here: a service account holds the meeting of its own and its owner's rights, team by team, and a token's scopes cut
 * that once more. All of it is settled when the principal is read, so that asking is a mask. */
#include <stdio.h>
#include <string.h>

#include "portal/auth/auth_private.h"

static const struct { const char *name; unsigned role, includes; } roles[] = {
    {"viewer", ROLE_VIEWER, ROLE_VIEWER},
    {"developer", ROLE_DEVELOPER, ROLE_DEVELOPER | ROLE_VIEWER},
    {"approver", ROLE_APPROVER, ROLE_APPROVER | ROLE_VIEWER},
    {"platform-admin", ROLE_ADMIN, ROLE_ADMIN | ROLE_APPROVER | ROLE_DEVELOPER | ROLE_VIEWER},
};
#define ROLES (sizeof roles / sizeof *roles)

static const struct { const char *quoted; unsigned scope, roles; } scopes[] = {
    {"\"read\"", SCOPE_READ, ROLE_VIEWER},
    {"\"orders\"", SCOPE_ORDERS, ROLE_VIEWER | ROLE_DEVELOPER | ROLE_APPROVER},
    /* Which targets it lists is a question of what may be read; auth_authorize() keeps it from all other routes. */
    {"\"monitoring\"", SCOPE_MONITORING, ROLE_VIEWER},
    {"\"admin\"", SCOPE_ADMIN, ~0u},
};

const char *role_name(enum role role)
{
    for (size_t i = 0; i < ROLES; i++)
        if (roles[i].role == role)
            return roles[i].name;
    return "?";
}

int role_parse(const char *text, size_t n, unsigned *ret)
{
    for (size_t i = 0; i < ROLES; i++)
        if (strlen(roles[i].name) == n && !memcmp(roles[i].name, text, n)) {
            *ret = roles[i].includes;
            return 0;
        }
    return -1;
}

unsigned scopes_of(const struct principal *p)
{
    unsigned mask = 0;
    for (size_t i = 0; p->scopes && i < sizeof scopes / sizeof *scopes; i++)
        if (strstr(p->scopes, scopes[i].quoted))
            mask |= scopes[i].scope;
    return p->scopes ? mask : ~0u;
}

static unsigned roles_left(const struct principal *p)
{
    unsigned mask = 0;
    for (size_t i = 0; p->scopes && i < sizeof scopes / sizeof *scopes; i++)
        if (strstr(p->scopes, scopes[i].quoted))
            mask |= scopes[i].roles;
    return p->scopes ? mask : ~0u;
}

struct held {
    unsigned everywhere, n;
    struct principal_team *teams;
};

static unsigned *team_of(struct held *h, const char *team, size_t n)
{
    for (unsigned i = 0; i < h->n; i++)
        if (!strncmp(h->teams[i].team, team, n) && !h->teams[i].team[n])
            return &h->teams[i].roles;
    return NULL;
}

static void parse(const char *text, struct held *h, struct arena *a)
{
    size_t most = 1;
    for (const char *p = text; *p; p++)
        most += *p == ' ';
    *h = (struct held){.teams = arena_alloc(a, most * sizeof *h->teams)};
    for (const char *p = text; *p; p += strspn(p, " ")) {
        size_t name = strcspn(p, ":"), all = strcspn(p, " ");
        unsigned mask;
        if (name < all && role_parse(p, name, &mask) == 0) {
            const char *team = p + name + 1;
            size_t n = all - name - 1;
            unsigned *at = n ? team_of(h, team, n) : &h->everywhere;
            if (at)
                *at |= mask;
            else
                h->teams[h->n++] = (struct principal_team){arena_strndup(a, team, n), mask};
        }
        p += all;
    }
}

/* What both hold: in a team, a role that either has everywhere counts, too. */
static void meet(struct held *own, struct held *owner, struct arena *a)
{
    struct held both = {.everywhere = own->everywhere & owner->everywhere, .teams = arena_alloc(a, (own->n + owner->n + 1) * sizeof *both.teams)};
    struct held *sides[] = {own, owner};
    for (int s = 0; s < 2; s++)
        for (unsigned i = 0; i < sides[s]->n; i++) {
            const char *team = sides[s]->teams[i].team;
            const unsigned *mine = team_of(own, team, strlen(team)), *theirs = team_of(owner, team, strlen(team));
            unsigned mask = (own->everywhere | (mine ? *mine : 0)) & (owner->everywhere | (theirs ? *theirs : 0));
            if (mask && !team_of(&both, team, strlen(team)))
                both.teams[both.n++] = (struct principal_team){team, mask};
        }
    *own = both;
}

void principal_set_roles(struct principal *p, const char *own, const char *owner, struct arena *a)
{
    struct held held, owners;
    unsigned left = roles_left(p);
    parse(own, &held, a);
    if (owner) {
        parse(owner, &owners, a);
        meet(&held, &owners, a);
    }
    p->global_roles = held.everywhere & left;
    p->teams = held.teams;
    for (unsigned i = 0; i < held.n; i++)
        if (held.teams[i].roles & left)
            p->teams[p->n_teams++] = (struct principal_team){held.teams[i].team, held.teams[i].roles & left};
}

struct principal *principal_copy(const struct principal *p, struct arena *a)
{
    struct principal *copy = arena_memdup(a, p, sizeof *p);
    const char **texts[] = {&copy->actor, &copy->name, &copy->person, &copy->person_name, &copy->token_id, &copy->session_id, &copy->scopes};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = arena_strdup(a, *texts[i]);
    copy->teams = arena_memdup(a, p->teams, p->n_teams * sizeof *p->teams);
    for (unsigned i = 0; i < p->n_teams; i++)
        copy->teams[i].team = arena_strdup(a, p->teams[i].team);
    copy->claim = NULL;
    return copy;
}

bool principal_holds(const struct principal *p, unsigned role)
{
    unsigned all = p->global_roles;
    for (unsigned i = 0; i < p->n_teams; i++)
        all |= p->teams[i].roles;
    return (all & role) == role;
}

bool auth_has(const struct principal *p, enum role role, const char *team)
{
    if (!p)
        return false;
    if (p->global_roles & (unsigned)role)
        return true;
    for (unsigned i = 0; team && i < p->n_teams; i++)
        if (!strcmp(p->teams[i].team, team))
            return p->teams[i].roles & (unsigned)role;
    return false;
}

int auth_require(const struct principal *p, enum role role, const char *team, struct err *e)
{
    if (auth_has(p, role, team))
        return 0;
    if (!p)
        return err_set(e, ERR_UNAUTHENTICATED, "nobody is signed in: send `Authorization: Bearer <token>`, or sign in");
    const char *where = team ? " in team " : "";
    if (!(roles_left(p) & (unsigned)role))
        err_set(e, ERR_DENIED, "needs the role %s%s%s, which the scopes of this token (%s) leave out", role_name(role), where, team ? team : "", p->scopes);
    else
        err_set(e, ERR_DENIED, "needs the role %s%s%s; a platform-admin can give it: soma roles bind %s %s%s%s", role_name(role), where, team ? team : "", p->name,
                role_name(role), team ? " --team " : "", team ? team : "");
    return err_type(e, "role-missing");
}

const char *auth_teams_json(const struct principal *p, struct arena *a)
{
    if (p && p->global_roles & ROLE_VIEWER)
        return NULL;
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '[');
    for (unsigned i = 0; p && i < p->n_teams; i++)
        if (p->teams[i].roles & ROLE_VIEWER) {
            if (b.len > 1)
                buf_char(&b, ',');
            buf_json_str(&b, p->teams[i].team);
        }
    buf_char(&b, ']');
    return arena_strndup(a, b.data, b.len);
}
