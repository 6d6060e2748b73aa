/* What the words of engines and providers mean for what is done next. They have no codes: this is the one place that reads them, and each question is answered
 * "no" for words that nobody has met. */
#include "portal/terraform/terraform_private.h"

#include <string.h>

static bool any_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcasestr(text, *list))
            return true;
    return false;
}

bool tf_words_provider_lost(const char *summary, const char *detail)
{
    static const char *const summaries[] = {"Plugin did not respond", "Request cancelled", "Plugin error", NULL};
    if (!strstr(detail, "GRPCProvider)."))
        return false;
    for (size_t i = 0; summaries[i]; i++)
        if (!strcmp(summary, summaries[i]))
            return true;
    return false;
}

bool tf_words_absent(const char *words)
{
    static const char *const absent[] = {"non-existent remote object", "not found", "NotFound", "couldn't find", "could not find", "does not exist", "doesn't exist",
                                         "NoSuch", "NonExistent", "StatusCode: 404", "status code: 404", "empty result", NULL};
    /* A host or a user that is not there says nothing about the object. */
    static const char *const other[] = {"no such host", "lookup ", "role \"", "user \"", "credential", NULL};
    return strstr(words, absent[0]) || (any_of(words, absent) && !any_of(words, other));
}

bool tf_words_unimportable(const char *words)
{
    static const char *const list[] = {"support import", "Import Not Implemented", "cannot be imported", "invalid import id", "unexpected format of import", "unexpected format of id",
                                       "unexpected format for id", "invalid id", NULL};
    return any_of(words, list);
}

static bool passing_words(const char *words)
{
    static const char *const list[] = {
        "connection refused", "connection reset", "broken pipe", "i/o timeout", "timed out", "deadline exceeded", "handshake timeout", "timeout exceeded", "no route to host",
        "network is unreachable", "no such host", "name resolution", "server misbehaving", "unexpected EOF", "use of closed network connection",
        "throttl", "rate exceeded", "limit exceeded: request", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "ServiceUnavailable", "service unavailable",
        "InternalError", "InternalFailure", "internal server error", "bad gateway", "gateway timeout", "StatusCode: 429", "StatusCode: 500", "StatusCode: 502", "StatusCode: 503", "StatusCode: 504",
        "ExpiredToken", "RequestExpired", "token included in the request is expired", "token has expired", "token is expired", "credentials have expired", "credentials are expired",
        "too many connections", "too many clients", "remaining connection slots", "database system is starting", "database system is shutting", "in recovery mode",
        "terminating connection", "Plugin did not respond", "ended while it was needed", NULL};
    return any_of(words, list);
}

bool tf_failure_may_pass(const struct tf_result *r)
{
    size_t errors = 0;
    for (size_t i = 0; i < r->n_diagnostics; i++) {
        const struct tf_diagnostic *d = &r->diagnostics[i];
        if (strcmp(d->severity, "error") != 0)
            continue;
        if (!passing_words(d->summary) && !passing_words(d->detail))
            return false;
        errors++;
    }
    return errors > 0;
}
