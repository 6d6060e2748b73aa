/* Settings of mail and Slack. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "portal/auth/auth.h"
#include "portal/notify/notify_private.h"

static struct notify_settings settings;

const struct notify_settings *notify_get(void)
{
    return &settings;
}

const struct config_key notify_config[] = {
    {.name = "smtp_server", .type = CONFIG_STRING, .help = "HOST or HOST:PORT of the mail server; without it no mail is sent"},
    {.name = "smtp_tls", .type = CONFIG_ENUM, .fallback = "starttls", .choices = "starttls|tls|none", .help = "how the connection to it is encrypted; none only where nobody else listens"},
    {.name = "smtp_ca", .type = CONFIG_STRING, .help = "PEM file of authorities to trust for it instead of the system's"},
    {.name = "smtp_user", .type = CONFIG_STRING, .help = "name to sign in to the mail server with"},
    {.name = "smtp_password", .type = CONFIG_STRING, .secret = true, .help = "its password"},
    {.name = "smtp_from", .type = CONFIG_STRING, .help = "sender of mails: soma@example.com or Soma <soma@example.com>"},
    {.name = "slack_webhook", .type = CONFIG_STRING, .secret = true, .help = "address of a Slack app's incoming webhook; messages go to its channel"},
    {.name = "slack_bot_token", .type = CONFIG_STRING, .secret = true, .help = "bot token of a Slack app (chat:write), instead of a webhook"},
    {.name = "slack_channel", .type = CONFIG_STRING, .help = "channel for messages of the bot; without it each linked person is written to"},
    {.name = "slack_signing_secret", .type = CONFIG_STRING, .secret = true, .help = "signing secret of the Slack app; without it buttons in Slack are not answered"},
    {.name = "slack_api", .type = CONFIG_STRING, .fallback = "https://slack.com/api", .help = "where the bot's messages are posted"},
    {.name = "slack_ca", .type = CONFIG_STRING, .help = "PEM file of authorities to trust for Slack instead of the system's"},
    {0},
};

static char *keep(const struct config *c, const char *key)
{
    const char *s = config_str(c, key);
    return s && *s ? strdup(s) : NULL;
}

static bool is_loopback(const char *host)
{
    static const char *const known[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i]);
        if (!strncmp(host, known[i], n) && (!host[n] || host[n] == ':' || host[n] == '/'))
            return true;
    }
    return false;
}

/* Addresses of Slack carry secrets: encrypted, or to this very machine. */
static int check_url(const char *key, const char *url, struct err *e)
{
    if (!url || !strncmp(url, "https://", 8) || (!strncmp(url, "http://", 7) && is_loopback(url + 7)))
        return 0;
    return err_set(e, ERR_INVALID, "%s must begin with https://", key);
}

/* "Soma <soma@example.com>" or the address alone. */
static char *bare_address(const char *from)
{
    const char *open = from ? strrchr(from, '<') : NULL;
    size_t n = open ? strcspn(open + 1, ">") : 0;
    if (!open)
        return from ? strdup(from) : NULL;
    return open[n + 1] == '>' && !open[n + 2] ? strndup(open + 1, n) : NULL;
}

static int check(const struct notify_settings *s, struct err *e)
{
    if (s->smtp_server && (strpbrk(s->smtp_server, " /@?#") || strlen(s->smtp_server) > 255))
        return err_set(e, ERR_INVALID, "smtp_server must be HOST or HOST:PORT");
    if (s->smtp_server && (!s->smtp_sender || !auth_email_valid(s->smtp_sender)))
        return err_set(e, ERR_INVALID, "smtp_server needs smtp_from, such as soma@example.com or Soma <soma@example.com>");
    if (s->smtp_from)
        for (const char *p = s->smtp_from; *p; p++)
            if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
                return err_set(e, ERR_INVALID, "smtp_from must be written in ASCII");
    if (s->smtp_server && s->smtp_user && s->smtp_tls == 'n' && !is_loopback(s->smtp_server))
        return err_set(e, ERR_INVALID, "smtp_user needs smtp_tls = starttls or tls: the password would be sent in clear");
    if (s->slack_webhook && s->slack_token)
        return err_set(e, ERR_INVALID, "slack_webhook and slack_bot_token exclude each other");
    int r = check_url("slack_webhook", s->slack_webhook, e);
    return r ? r : check_url("slack_api", s->slack_api, e);
}

int notify_configure(const struct config *c, struct db *db, struct cluster *cluster, struct err *e)
{
    const char *url = config_str(c, "public_url");
    settings = (struct notify_settings){
        .db = db, .cluster = cluster, .public_url = strdup(url ? url : ""), .smtp_server = keep(c, "smtp_server"), .smtp_ca = keep(c, "smtp_ca"),
        .smtp_user = keep(c, "smtp_user"), .smtp_password = keep(c, "smtp_password"), .smtp_from = keep(c, "smtp_from"), .smtp_tls = *config_str(c, "smtp_tls"),
        .slack_webhook = keep(c, "slack_webhook"), .slack_token = keep(c, "slack_bot_token"), .slack_channel = keep(c, "slack_channel"),
        .slack_secret = keep(c, "slack_signing_secret"), .slack_api = keep(c, "slack_api"), .slack_ca = keep(c, "slack_ca"),
    };
    for (size_t n = strlen(settings.public_url); n && settings.public_url[n - 1] == '/'; n--)
        settings.public_url[n - 1] = 0;
    settings.smtp_sender = bare_address(settings.smtp_from);
    if (!strcmp(config_str(c, "smtp_tls"), "starttls"))
        settings.smtp_tls = 's';
    curl_global_init(CURL_GLOBAL_DEFAULT);
    notify_register_builtin();
    return check(&settings, e);
}

bool notify_has_mail(void)
{
    return settings.smtp_server != NULL;
}

bool notify_has_slack(void)
{
    return settings.slack_webhook || settings.slack_token;
}

bool notify_slack_is_direct(void)
{
    return settings.slack_token && !settings.slack_channel;
}

const char *notify_public_url(void)
{
    return settings.public_url ? settings.public_url : "";
}
