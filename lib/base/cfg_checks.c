#include "base/cfg_checks.h"

#include "base/addr.h"

/* Which bytes a text may have, as ranges: "az09--" is [a-z0-9-]. */
static bool only(struct slice s, const char *ranges)
{
	for (size_t i = 0; i < s.n; i++) {
		const char *r = ranges;

		while (*r && !(s.p[i] >= r[0] && s.p[i] <= r[1]))
			r += 2;
		if (!*r)
			return false;
	}
	return true;
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_port(struct slice s)
{
	uint64_t port;

	return s.n <= 5 && slice_u64(s, &port) == 0 && port >= 1 && port <= 65535;
}

/* A name or an address, IPv6 in brackets. */
static bool is_host(struct slice s)
{
	struct addr a;

	if (s.n && s.p[0] == '[')
		return addr_read(s, &a) == 0;
	return s.n > 0 && s.n <= 253 && only(s, "azAZ09--..__") && s.p[0] != '.' && s.p[0] != '-';
}

/* HOST or HOST:PORT. */
static bool is_host_port(struct slice s)
{
	size_t host_n = s.n && s.p[0] == '[' ? slice_find(s, ']') + 1 : slice_find(s, ':');
	struct slice rest = slice_skip(s, host_n);

	return is_host(slice_head(s, host_n)) &&
	       (rest.n == 0 || (rest.p[0] == ':' && is_port(slice_skip(rest, 1))));
}

static bool name_fits(struct slice s)
{
	return s.n >= 1 && s.n <= 63 && only(s, "az09--");
}
const struct cfg_check cfg_is_name = { name_fits, "1 to 63 of a-z, 0-9 and -" };

static bool brokers_fit(struct slice s)
{
	do {
		struct slice broker = slice_trim(slice_cut(&s, ','));

		for (size_t i = 0; i + 3 <= broker.n; i++) { /* librdkafka takes PROTOCOL:// too */
			if (memcmp(broker.p + i, "://", 3) == 0)
				broker = slice_skip(broker, i + 3);
		}
		if (!is_host_port(broker))
			return false;
	} while (s.n);
	return true;
}
const struct cfg_check cfg_is_brokers = { brokers_fit, "HOST:PORT, more of them behind commas" };

static bool prefix_fits(struct slice s)
{
	return s.n <= 200 && only(s, "azAZ09--..__");
}
const struct cfg_check cfg_is_prefix = { prefix_fits, "at most 200 of a-z, A-Z, 0-9, . _ -" };

static bool listen_fits(struct slice s)
{
	struct sockaddr_storage ss;
	socklen_t n;

	return addr_listen_read(s, &ss, &n) == 0;
}
const struct cfg_check cfg_is_listen = { listen_fits,
					 "ADDRESS:PORT like 127.0.0.1:9090 or [::1]:9090" };

static bool sip_listen_fits(struct slice s)
{
	struct slice protocol = slice_cut(&s, ':');

	return (slice_is(protocol, "udp") || slice_is(protocol, "tcp") ||
		slice_is(protocol, "tls")) &&
	       listen_fits(s);
}
const struct cfg_check cfg_is_sip_listen = { sip_listen_fits,
					     "udp:ADDRESS:PORT, tcp:ADDRESS:PORT" };

static bool net_fits(struct slice s)
{
	struct net net;

	return net_read(s, &net) == 0;
}
const struct cfg_check cfg_is_net = { net_fits, "a network like 10.0.0.0/8, or an address" };

/* Behind "://"; empty without. */
static struct slice behind_scheme(struct slice url, const char *scheme)
{
	struct slice prefix = slice_of(scheme);

	return slice_starts_nocase(url, prefix) ? slice_skip(url, prefix.n) : SLICE_NONE;
}

static struct slice authority(struct slice url)
{
	struct slice rest = behind_scheme(url, "https://");
	size_t n = 0;

	if (rest.n == 0)
		rest = behind_scheme(url, "http://");
	while (n < rest.n && !is_one_of(rest.p[n], "/?#"))
		n++;
	return slice_head(rest, n);
}

struct slice cfg_url_host(struct slice url)
{
	struct slice host = authority(url);

	if (host.n && host.p[0] == '[')
		return slice_make(host.p + 1, slice_find(host, ']') - 1);
	return slice_head(host, slice_find(host, ':'));
}

static bool is_visible(struct slice s)
{
	return only(s, "!~");
}

static bool url_fits(struct slice s)
{
	return s.n <= 2000 && is_visible(s) && is_host_port(authority(s)) &&
	       slice_find(s, '#') == s.n;
}
const struct cfg_check cfg_is_url = {
	url_fits, "http:// or https:// with host and path, no user in it, no fragment"
};

static bool redis_url_fits(struct slice s)
{
	struct slice rest = behind_scheme(s, "redis://");

	if (rest.n == 0)
		rest = behind_scheme(s, "rediss://");
	return rest.n > 0 && is_visible(s);
}
const struct cfg_check cfg_is_redis_url = { redis_url_fits, "redis://[:PASSWORD@]HOST:PORT/DB" };

static bool store_fits(struct slice s)
{
	return slice_starts(s, SLICE("file:/")) ||
	       (slice_starts(s, SLICE("s3://")) && s.n > sizeof("s3://") - 1);
}
const struct cfg_check cfg_is_store = { store_fits, "file:/PATH or s3://BUCKET[/PREFIX]" };

static bool country_fits(struct slice s)
{
	return s.n == 0 || (s.n == 2 && only(s, "AZ"));
}
const struct cfg_check cfg_is_country = { country_fits, "two capitals like RU, or \"\"" };

static bool instance_fits(struct slice s)
{
	return s.n <= 100 && only(s, "azAZ09--..__");
}
const struct cfg_check cfg_is_instance = { instance_fits, "at most 100 of a-z, A-Z, 0-9, . _ -" };

static bool is_base64(struct slice s)
{
	size_t pad = 0;

	while (pad < 2 && s.n > pad && s.p[s.n - 1 - pad] == '=')
		pad++;
	return s.n > pad && s.n % 4 == 0 && only(slice_head(s, s.n - pad), "azAZ09++//");
}

static bool secret_fits(struct slice s)
{
	struct slice prefix = SLICE("whsec_");

	return !slice_starts(s, prefix) || is_base64(slice_skip(s, prefix.n));
}
const struct cfg_check cfg_is_secret = { secret_fits,
					 "whsec_ with base64 behind it, or other text" };

static bool token_fits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_one_of(s.p[i], "/?#&"))
			return false;
	}
	return is_visible(s);
}
const struct cfg_check cfg_is_token = {
	token_fits, "visible ASCII without / ? # &, for it stands in an address"
};

static bool line_fits(struct slice s)
{
	return s.n > 0 && s.n <= 255 && slice_trim(s).n == s.n;
}
const struct cfg_check cfg_is_line = { line_fits, "a number or a SIP address" };
