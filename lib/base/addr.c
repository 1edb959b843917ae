#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#define V4_BITS  96 /* of the prefix that IPv4 has in 16 bytes */
#define V4_BYTES 12

static const uint8_t mapped[V4_BYTES] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void from_v4(const void *v4, struct addr *ret)
{
	memcpy(ret->b, mapped, V4_BYTES);
	memcpy(ret->b + V4_BYTES, v4, 4);
}

/* is_v4 tells how it was written. */
static int read_text(struct slice text, struct addr *ret, bool *is_v4)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;

	if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
		return -EINVAL;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*is_v4 = inet_pton(AF_INET, copy, &v4) == 1;
	if (*is_v4) {
		from_v4(&v4, ret);
		return 0;
	}
	if (inet_pton(AF_INET6, copy, &v6) != 1)
		return -EINVAL;
	memcpy(ret->b, &v6, sizeof(ret->b));
	return 0;
}

/* Without brackets and scope, which only IPv6 has. */
static struct slice bare(struct slice text)
{
	if (text.n > 1 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = slice_make(text.p + 1, text.n - 2);
	return memchr(text.n ? text.p : "", ':', text.n) ? slice_head(text, slice_find(text, '%'))
							 : text;
}

int addr_read(struct slice text, struct addr *ret)
{
	struct addr a;
	bool is_v4;

	if (read_text(bare(text), &a, &is_v4) || (is_v4 && text.p[0] == '['))
		return -EINVAL;
	*ret = a;
	return 0;
}

int addr_of_sockaddr(const struct sockaddr *sa, struct addr *ret)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		from_v4(&in.sin_addr, ret);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(ret->b, &in6.sin6_addr, sizeof(ret->b));
		return 0;
	}
	return -EAFNOSUPPORT;
}

bool net_has_addr(const struct net *net, const struct addr *a)
{
	size_t whole = net->bits / 8;
	unsigned rest = net->bits % 8;

	if (memcmp(net->addr.b, a->b, whole) != 0)
		return false;
	return rest == 0 || ((net->addr.b[whole] ^ a->b[whole]) >> (8 - rest)) == 0;
}

int net_read(struct slice text, struct net *ret)
{
	struct slice address = slice_cut(&text, '/');
	bool has_bits = text.p && text.p > address.p + address.n, is_v4;
	struct net net;
	uint64_t bits, bits_max;

	if (read_text(address, &net.addr, &is_v4))
		return -EINVAL;
	bits_max = is_v4 ? 32 : 128;
	bits = bits_max;
	if (has_bits && (slice_u64(text, &bits) || bits > bits_max || text.n > 3))
		return -EINVAL;
	net.bits = (uint8_t)(bits + (is_v4 ? V4_BITS : 0));
	*ret = net;
	return 0;
}

bool net_has(const struct net *net, struct slice address)
{
	struct addr a;

	return addr_read(address, &a) == 0 && net_has_addr(net, &a);
}

#define V4(a, b, c, d, length)                                                                     \
	{                                                                                          \
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d } }, V4_BITS + (length)   \
	}
#define V6(a, b, length)                                                                           \
	{                                                                                          \
		{ { (a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff } }, length                             \
	}

static const struct net loopbacks[] = {
	V4(127, 0, 0, 0, 8),
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } }, 128 },
};

static const struct net link_locals[] = { V4(169, 254, 0, 0, 16), V6(0xfe80, 0, 10) };

static const struct net privates[] = {
	V4(0, 0, 0, 0, 8),                         /* "this network" */
	V4(10, 0, 0, 0, 8),                        /* RFC 1918 */
	V4(100, 64, 0, 0, 10),                     /* CGNAT, RFC 6598 */
	V4(172, 16, 0, 0, 12),                     /* RFC 1918 */
	V4(192, 0, 0, 0, 24),                      /* IETF protocol assignments */
	V4(192, 0, 2, 0, 24),                      /* documentation */
	V4(192, 168, 0, 0, 16),                    /* RFC 1918 */
	V4(198, 18, 0, 0, 15),                     /* benchmarks */
	V4(198, 51, 100, 0, 24),                   /* documentation */
	V4(203, 0, 113, 0, 24),                    /* documentation */
	V4(224, 0, 0, 0, 4),                       /* multicast */
	V4(240, 0, 0, 0, 4),                       /* reserved, broadcast */
	{ { { 0 } }, 128 },                        /* unspecified */
	V6(0x0100, 0, 64),                         /* discard */
	V6(0x2001, 0, 32),                         /* Teredo, which hides an IPv4 address */
	{ { { 0, 0x64, 0xff, 0x9b, 0, 1 } }, 48 }, /* NAT64 of a network's own, RFC 8215 */
	V6(0x2001, 0x0db8, 32),                    /* documentation */
	V6(0xfc00, 0, 7),                          /* ULA */
	V6(0xfec0, 0, 10),                         /* site-local, long given up */
	V6(0xff00, 0, 8),                          /* multicast */
};

/* Where an IPv4 address lies inside an IPv6 one. */
static const struct {
	struct net net;
	size_t at;
} embeddings[] = {
	{ { { { 0 } }, 96 }, 12 },      /* IPv4-compatible */
	{ V6(0x0064, 0xff9b, 96), 12 }, /* NAT64, RFC 6052 */
	{ V6(0x2002, 0, 16), 2 },       /* 6to4 */
};

static bool any_has(const struct net *nets, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (net_has_addr(&nets[i], a))
			return true;
	}
	return false;
}

bool addr_is_loopback(const struct addr *a)
{
	return any_has(loopbacks, ARRAY_LEN(loopbacks), a);
}

bool addr_is_link_local(const struct addr *a)
{
	return any_has(link_locals, ARRAY_LEN(link_locals), a);
}

static bool is_private_itself(const struct addr *a)
{
	return addr_is_loopback(a) || addr_is_link_local(a) ||
	       any_has(privates, ARRAY_LEN(privates), a);
}

bool addr_is_private(const struct addr *a)
{
	struct addr inner;

	if (is_private_itself(a))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(embeddings); i++) {
		if (!net_has_addr(&embeddings[i].net, a))
			continue;
		from_v4(a->b + embeddings[i].at, &inner);
		return is_private_itself(&inner);
	}
	return false;
}

static int port_read(struct slice text, in_port_t *ret)
{
	uint64_t port;

	if (text.n > 5 || slice_u64(text, &port) || port > 65535)
		return -EINVAL;
	*ret = htons((uint16_t)port);
	return 0;
}

/* What may stand for the host of an address to listen at. */
static int host_read(struct slice host, struct addr *ret, bool *is_v4)
{
	bool brackets = host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']';

	if (host.n == 0 || slice_is(host, "*"))
		return read_text(SLICE("0.0.0.0"), ret, is_v4);
	if (slice_is(host, "localhost"))
		return read_text(SLICE("127.0.0.1"), ret, is_v4);
	if (brackets)
		host = slice_make(host.p + 1, host.n - 2);
	if (read_text(host, ret, is_v4) || brackets == *is_v4) /* IPv6 needs brackets, IPv4 none */
		return -EINVAL;
	return 0;
}

int addr_listen_read(struct slice text, struct sockaddr_storage *ret, socklen_t *ret_n)
{
	size_t colon = text.n;
	struct addr a;
	in_port_t port;
	bool is_v4;

	while (colon > 0 && text.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || port_read(slice_skip(text, colon), &port) ||
	    host_read(slice_head(text, colon - 1), &a, &is_v4))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	if (is_v4) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = port };

		memcpy(&in.sin_addr, a.b + V4_BYTES, 4);
		memcpy(ret, &in, sizeof(in));
		*ret_n = sizeof(in);
	} else {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = port };

		memcpy(&in6.sin6_addr, a.b, sizeof(a.b));
		memcpy(ret, &in6, sizeof(in6));
		*ret_n = sizeof(in6);
	}
	return 0;
}
