/* Messages to people outside: by mail and by Slack; and what comes back from Slack.
 *
 * A message is a *delivery*: a row that is written in the transaction of what it tells about. The job `notify` then lets its kind compose it and sends it, tries again with
 * growing pauses, and gives it up with a reason; so a mail server that is away holds nobody up. At most two are sent at once in the installation, behind all other
 * work. A message may arrive twice when a worker dies between sending and noting it.
 *
 * What is secret (a link's token, a Slack response address) is made while composing, or lies sealed in the row; it is in no log, event or error.
 * Threads: composing and sending on job threads; the rest anywhere. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/config.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"
#include "portal/secrets/secrets.h"
#include <jansson.h>
#include <stdbool.h>

struct cluster;

extern const struct config_key notify_config[];
extern const struct http_route notify_routes[];      /* deliveries, a test, Slack's interactions, links between Slack users and people */
extern const struct jobs_kind notify_jobs[];
extern const struct secrets_column notify_secrets[]; /* for rotation */

/* Once at start of a process, before server or jobs; registers the messages of its own. ERR_INVALID when the settings do not fit each other. `cluster` may be NULL. Copies what it keeps. */
int notify_configure(const struct config *c, struct db *db, struct cluster *cluster, struct err *e);
bool notify_has_mail(void);
bool notify_has_slack(void);
/* Slack: whether messages go to each person (a bot token without a channel) rather than to one place. */
bool notify_slack_is_direct(void);
/* How users reach this installation, without a slash at its end. */
const char *notify_public_url(void);

/* ---- outgoing ---- */
#define NOTIFY_MAIL "mail"
#define NOTIFY_SLACK "slack"
#define NOTIFY_SLACK_RESPONSE "slack-response"

struct notify_delivery {
    const char *id, *kind, *channel;
    const char *address;        /* mail address; Slack user or channel, "" for the configured place */
    const char *person;         /* id of the person it is for, or NULL */
    const char *person_name;
    const char *about;          /* e.g. "approval:<id>" */
    const json_t *data;         /* what was given with it; never NULL */
    const char *secret;         /* what lay sealed, or NULL */
};
struct notify_message {
    const char *subject, *text; /* mail; UTF-8, the subject on one line */
    const json_t *slack;        /* a Slack message ({"text", "blocks"}); the text is sent when NULL. Owned by the message: dropped after sending */
};
/* Fills *ret for the delivery; in a transaction that commits before the message is sent. ERR_CANCELED: it is not wanted any more. Strings in `a`. */
struct notify_kind { const char *kind; int (*compose)(struct db_conn *c, const struct notify_delivery *d, struct arena *a, struct notify_message *ret, struct err *e); };
/* Before the jobs start; kept by pointer; at most 32. */
void notify_register(const struct notify_kind *k);

struct notify_spec { const char *kind, *channel, *address, *person, *about, *data /* JSON text or NULL */, *secret; };
/* In the caller's transaction; cluster_poke() after it. ret_id (ID_LEN + 1) may be NULL. */
int notify_enqueue(struct db_conn *c, const struct notify_spec *s, char *ret_id, struct err *e);

/* ---- incoming: a button that was pressed in Slack ---- */
struct notify_press {
    const char *action, *value;        /* of the button */
    const char *person, *person_name;  /* whom the Slack user is linked to */
    const char *address, *request_id;
};
/* Acts; *ret_text tells the user, *ret_replace whether it takes the message's place (else only they see it). An error's words are told to the user, too. */
struct notify_button { const char *action; int (*press)(const struct notify_press *p, struct arena *a, const char **ret_text, bool *ret_replace, struct err *e); };
void notify_register_button(const struct notify_button *b); /* as notify_register() */

/* For /metrics of the work role. */
struct notify_stats { int64_t sent, failed, retried; };
void notify_get_stats(struct notify_stats *ret);
