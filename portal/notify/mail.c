/* Mail by SMTP: one message, plain text, one recipient. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "portal/auth/auth.h"
#include "portal/core/clock.h"
#include "portal/crypto/crypto.h"
#include "portal/notify/notify_private.h"

static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
            return false;
    return true;
}

/* RFC 2047: words of at most 75 characters; a character is never cut in two. */
static void write_subject(const char *s, struct buf *out)
{
    buf_str(out, "Subject: ");
    if (is_plain(s) && strlen(s) <= 200)
        buf_str(out, s);
    else
        while (*s) {
            size_t n = 0, len = strlen(s);
            while (n < len && n < 42)
                n++;
            while (n < len && n > 1 && ((unsigned char)s[n] & 0xc0) == 0x80)
                n--;
            buf_str(out, "=?UTF-8?B?");
            crypto_base64(s, n, out);
            buf_str(out, "?=");
            s += n;
            buf_str(out, *s ? "\r\n " : "");
        }
    buf_str(out, "\r\n");
}

static void write_date(int64_t wall_ms, struct buf *out)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = wall_ms / 1000;
    struct tm t;
    gmtime_r(&seconds, &t);
    buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void write_body(const char *text, struct buf *out)
{
    BUF_AUTO lines = BUF_INIT;
    BUF_AUTO coded = BUF_INIT;
    for (; *text; text++)
        if (*text == '\n')
            buf_str(&lines, "\r\n");
        else
            buf_char(&lines, *text);
    crypto_base64(buf_cstr(&lines), lines.len, &coded);
    for (size_t at = 0; at < coded.len; at += 76)
        buf_printf(out, "%.*s\r\n", (int)(coded.len - at < 76 ? coded.len - at : 76), coded.data + at);
    buf_wipe(&lines);
    buf_wipe(&coded);
}

void mail_write(const struct notify_delivery *d, const struct notify_message *m, const char *from, int64_t wall_ms, struct buf *out)
{
    BUF_AUTO subject = BUF_INIT;
    for (const char *p = m->subject; *p; p++) /* a subject cannot begin a header of its own */
        buf_char(&subject, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
    const char *host = strrchr(from, '@') + 1;
    buf_printf(out, "From: %s\r\nTo: <%s>\r\n", from, d->address);
    write_subject(buf_cstr(&subject), out);
    write_date(wall_ms, out);
    buf_printf(out, "Message-ID: <%s@%.*s>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
               "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n\r\n", d->id, (int)strcspn(host, ">"), host);
    write_body(m->text, out);
}

struct source { const struct buf *text; size_t at; };

static size_t feed(char *to, size_t size, size_t n, void *arg)
{
    struct source *s = arg;
    size_t room = size * n, left = s->text->len - s->at, take = left < room ? left : room;
    memcpy(to, s->text->data + s->at, take);
    s->at += take;
    return take;
}

static void curl_freep(CURL **c)
{
    curl_easy_cleanup(*c);
}

static void slist_freep(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

static void set_server(CURL *c, const struct notify_settings *s, struct arena *a)
{
    const char *colon = strrchr(s->smtp_server, ':'), *bracket = strrchr(s->smtp_server, ']');
    bool has_port = colon && (!bracket || colon > bracket);
    const char *port = has_port ? "" : s->smtp_tls == 't' ? ":465" : s->smtp_tls == 's' ? ":587" : ":25";
    curl_easy_setopt(c, CURLOPT_URL, arena_printf(a, "%s://%s%s/", s->smtp_tls == 't' ? "smtps" : "smtp", s->smtp_server, port));
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(c, CURLOPT_USE_SSL, (long)(s->smtp_tls == 'n' ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 40000L);
    if (s->smtp_ca)
        curl_easy_setopt(c, CURLOPT_CAINFO, s->smtp_ca);
    if (s->smtp_user) {
        curl_easy_setopt(c, CURLOPT_USERNAME, s->smtp_user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, s->smtp_password ? s->smtp_password : "");
    }
}

static int refused(CURL *c, CURLcode code, const char *words, struct err *e)
{
    long answer = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &answer);
    bool never = answer >= 550 && answer <= 554 && code != CURLE_LOGIN_DENIED;
    return err_set(e, never ? ERR_INVALID : ERR_UNAVAILABLE, "the mail server %s did not take the mail: %s", notify_get()->smtp_server, *words ? words : curl_easy_strerror(code));
}

int mail_send(const struct notify_delivery *d, const struct notify_message *m, struct err *e)
{
    const struct notify_settings *s = notify_get();
    if (!s->smtp_server)
        return err_set(e, ERR_INVALID, "no mail server is configured on this node: smtp_server");
    if (!auth_email_valid(d->address))
        return err_set(e, ERR_INVALID, "mail cannot be sent to the address that %s has", *d->person_name ? d->person_name : "it is for");
    ARENA_AUTO a = arena_new();
    BUF_AUTO text = BUF_INIT;
    char words[CURL_ERROR_SIZE] = "";
    mail_write(d, m, s->smtp_from, clock_wall_ms(), &text);
    struct source source = {&text, 0};
    __attribute__((cleanup(curl_freep))) CURL *c = curl_easy_init();
    __attribute__((cleanup(slist_freep))) struct curl_slist *to = curl_slist_append(NULL, arena_printf(a, "<%s>", d->address));
    if (!c || !to)
        return err_set(e, ERR_NOMEM, "out of memory");
    set_server(c, s, a);
    curl_easy_setopt(c, CURLOPT_MAIL_FROM, arena_printf(a, "<%s>", s->smtp_sender));
    curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, feed);
    curl_easy_setopt(c, CURLOPT_READDATA, &source);
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    CURLcode code = curl_easy_perform(c);
    int r = code == CURLE_OK ? 0 : refused(c, code, words, e);
    buf_wipe(&text);
    return r;
}
