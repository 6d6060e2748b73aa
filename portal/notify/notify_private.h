/* Shared by the files of portal/notify alone. */
#pragma once
#include "portal/notify/notify.h"

struct notify_settings {
    struct db *db;
    struct cluster *cluster;
    char *public_url;
    char *smtp_server, *smtp_ca, *smtp_user, *smtp_password, *smtp_from, *smtp_sender; /* sender: the bare address of `from` */
    char smtp_tls;              /* 's'tarttls, 't'ls, 'n'one */
    char *slack_webhook, *slack_token, *slack_channel, *slack_secret, *slack_api, *slack_ca;
};
const struct notify_settings *notify_get(void);

/* ---- mail.c ---- */
/* The whole message, CRLF line ends. */
void mail_write(const struct notify_delivery *d, const struct notify_message *m, const char *from, int64_t wall_ms, struct buf *out);
/* ERR_INVALID: it will never be taken (5xx); anything else may be tried again. */
int mail_send(const struct notify_delivery *d, const struct notify_message *m, struct err *e);

/* ---- slack.c ---- */
int slack_send(const struct notify_delivery *d, const struct notify_message *m, struct err *e);
/* Whether an address that came in a signed request may be answered: Slack's own, or the configured one. */
bool slack_may_answer(const char *url);

/* ---- slack_in.c ---- */
/* v0 signature of Slack; `now_s` is the wall clock. ERR_UNAUTHENTICATED with words. */
int slack_check_signature(const char *secret, const char *timestamp, const char *signature, const void *body, size_t len, int64_t now_s, struct err *e);
int slack_interactions(struct http_req *r, struct err *e);

/* ---- slack_people.c ---- */
int slack_link_show(struct http_req *r, struct err *e);
int slack_link_put(struct http_req *r, struct err *e);
int slack_link_delete(struct http_req *r, struct err *e);
int slack_link_redeem(struct http_req *r, struct err *e);
/* A code by which a signed-in person takes this Slack user as theirs; 10 minutes. out: 16 bytes. */
int slack_code_new(struct db_conn *c, const char *team, const char *user, char out[16], struct err *e);

/* ---- deliveries.c ---- */
int deliveries_list(struct http_req *r, struct err *e);
int deliveries_show(struct http_req *r, struct err *e);
int notify_try(struct http_req *r, struct err *e);
void notify_register_builtin(void);

/* ---- notify.c ---- */
int notify_run(struct job *j, struct err *e);
int notify_dead(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e);
int notify_collect(struct job *j, struct err *e);
