/* Shared by the files about approval in portal/provision: how a round is told to people. */
#pragma once
#include "portal/notify/notify.h"
#include "portal/provision/approval.h"
#include "portal/provision/provision_private.h"

/* A round as people are told of it. Strings in the arena. */
struct approval_view {
    const char *round, *state, *reason, *expires_at, *ended;
    const char *order, *kind, *name, *template, *environment, *team, *orderer, *actor, *orderer_id, *price /* "" when there is none */;
    json_t *plan;       /* as the API shows it; owned: approval_view_done() */
    json_t *demands, *decisions;
    bool over;          /* its time has ended */
};
/* ERR_NOT_FOUND: there is no such round. */
int approval_view_load(struct db_conn *c, const char *round, struct arena *a, struct approval_view *ret, struct err *e);
void approval_view_done(struct approval_view *v);
#define APPROVAL_VIEW_AUTO __attribute__((cleanup(approval_view_done))) struct approval_view
/* "create the service orders-db (postgres-database) in production for team payments" */
const char *approval_view_title(const struct approval_view *v, struct arena *a);
/* One line for each change, at most `max`, then how many more; each is handed to `line`. */
void approval_view_changes(const struct approval_view *v, size_t max, void (*line)(const char *sign, const char *address, void *arg), void *arg);

/* The round's people are told in a job of their own: `what` is "asked", "reminder1", "reminder2" or "ended". In the caller's transaction. */
int approval_tell(struct db_conn *c, const char *round, const char *what, struct err *e);
int approval_notify(struct job *j, struct err *e);
/* A fresh link for one person and one round; its token's hash is kept. In the caller's transaction. NULL when links are off. */
int approval_link_new(struct db_conn *c, const char *round, const char *person, struct arena *a, const char **ret_url, struct err *e);
int approve_page_show(struct http_req *r, struct err *e);
int approve_page_post(struct http_req *r, struct err *e);
