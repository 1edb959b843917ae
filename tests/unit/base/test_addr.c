/* Addresses and networks: read, contained, reachable from outside or not. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/addr.h"
#include "unit/base/rows.h"

static const struct net_row {
	const char *name, *net, *address;
	int has; /* -1: no network */
} net_rows[] = {
	{ "inside", "10.0.0.0/8", "10.255.1.2", 1 },
	{ "outside", "10.0.0.0/8", "11.0.0.0", 0 },
	{ "odd length, last inside", "172.16.0.0/12", "172.31.255.255", 1 },
	{ "odd length, first outside", "172.16.0.0/12", "172.32.0.0", 0 },
	{ "one address", "185.45.152.7", "185.45.152.7", 1 },
	{ "one address, another", "185.45.152.7", "185.45.152.6", 0 },
	{ "all of IPv4", "0.0.0.0/0", "8.8.8.8", 1 },
	{ "all of IPv4 has no IPv6", "0.0.0.0/0", "2001:db8::1", 0 },
	{ "all of IPv6", "::/0", "2001:db8::1", 1 },
	{ "mapped address", "10.0.0.0/8", "::ffff:10.1.2.3", 1 },
	{ "mapped network", "::ffff:10.0.0.0/104", "10.1.2.3", 1 },
	{ "IPv6 inside", "2001:db8::/33", "2001:db8:7fff::1", 1 },
	{ "IPv6 outside", "2001:db8::/33", "2001:db8:8000::1", 0 },
	{ "scope ignored", "fe80::/10", "fe80::1%eth0", 1 },
	{ "brackets", "2001:db8::/32", "[2001:db8::1]", 1 },
	{ "bits behind the length", "10.1.2.3/8", "10.200.0.1", 1 },
	{ "address that is none", "10.0.0.0/8", "10.0.0", 0 },
	{ "empty address", "0.0.0.0/0", "", 0 },
	{ "IPv4 in brackets", "0.0.0.0/0", "[10.0.0.1]", 0 },
	{ "length of IPv4", "10.0.0.0/33", "", -1 },
	{ "length of IPv6", "::/129", "", -1 },
	{ "no length behind the stroke", "10.0.0.0/", "", -1 },
	{ "negative length", "10.0.0.0/-1", "", -1 },
	{ "long length", "10.0.0.0/0008", "", -1 },
	{ "a name", "localhost", "", -1 },
	{ "empty", "", "", -1 },
	{ "text behind it", "10.0.0.0/8x", "", -1 },
	{ "very long", "1111111111111111111111111111111111111111111111111111111111111", "", -1 },
};

static void net(void **state)
{
	const struct net_row *row = *state;
	struct net net;

	assert_int_equal(net_read(slice_of(row->net), &net), row->has < 0 ? -EINVAL : 0);
	if (row->has >= 0)
		assert_int_equal(net_has(&net, slice_of(row->address)), row->has);
}

static const struct place_row {
	const char *name; /* the address */
	bool private, loopback, link_local;
} place_rows[] = {
	{ "8.8.8.8", false, false, false },
	{ "127.0.0.1", true, true, false },
	{ "127.255.255.255", true, true, false },
	{ "::1", true, true, false },
	{ "::ffff:127.0.0.1", true, true, false },
	{ "169.254.169.254", true, false, true },
	{ "::ffff:169.254.169.254", true, false, true },
	{ "fe80::1", true, false, true },
	{ "febf::1", true, false, true },
	{ "0.0.0.0", true, false, false },
	{ "::", true, false, false },
	{ "10.1.2.3", true, false, false },
	{ "172.15.255.255", false, false, false },
	{ "172.16.0.1", true, false, false },
	{ "172.32.0.1", false, false, false },
	{ "192.168.1.1", true, false, false },
	{ "192.169.1.1", false, false, false },
	{ "100.63.255.255", false, false, false },
	{ "100.64.0.1", true, false, false },
	{ "100.127.255.255", true, false, false },
	{ "100.128.0.1", false, false, false },
	{ "198.18.0.1", true, false, false },
	{ "224.0.0.1", true, false, false },
	{ "255.255.255.255", true, false, false },
	{ "fc00::1", true, false, false },
	{ "fdff::1", true, false, false },
	{ "ff02::1", true, false, false },
	{ "2606:4700::1111", false, false, false },
	{ "64:ff9b::8.8.8.8", false, false, false },
	{ "64:ff9b::10.0.0.1", true, false, false },
	{ "64:ff9b:1::8.8.8.8", true, false, false },
	{ "64:ff9b:2::8.8.8.8", false, false, false },
	{ "2001::1", true, false, false },
	{ "2001:1::1", false, false, false },
	{ "2002:0a00:0001::1", true, false, false },
	{ "2002:0808:0808::1", false, false, false },
	{ "::10.0.0.1", true, false, false },
};

static void place(void **state)
{
	const struct place_row *row = *state;
	struct addr a;

	assert_int_equal(addr_read(slice_of(row->name), &a), 0);
	assert_int_equal(addr_is_private(&a), row->private);
	assert_int_equal(addr_is_loopback(&a), row->loopback);
	assert_int_equal(addr_is_link_local(&a), row->link_local);
}

static const struct listen_row {
	const char *name, *text;
	int family; /* 0: refused */
	int port;
	const char *host;
} listen_rows[] = {
	{ "IPv4", "127.0.0.1:9090", AF_INET, 9090, "127.0.0.1" },
	{ "all", "0.0.0.0:8080", AF_INET, 8080, "0.0.0.0" },
	{ "port alone", ":8080", AF_INET, 8080, "0.0.0.0" },
	{ "star", "*:8080", AF_INET, 8080, "0.0.0.0" },
	{ "localhost", "localhost:1", AF_INET, 1, "127.0.0.1" },
	{ "port of the system's choice", "127.0.0.1:0", AF_INET, 0, "127.0.0.1" },
	{ "IPv6", "[::1]:65535", AF_INET6, 65535, "::1" },
	{ "IPv6 without brackets", "::1:80", 0, 0, NULL },
	{ "IPv4 in brackets", "[127.0.0.1]:80", 0, 0, NULL },
	{ "no port", "127.0.0.1", 0, 0, NULL },
	{ "empty port", "127.0.0.1:", 0, 0, NULL },
	{ "port too large", "127.0.0.1:65536", 0, 0, NULL },
	{ "long port", "127.0.0.1:000080", 0, 0, NULL },
	{ "a name", "pbx.example:80", 0, 0, NULL },
	{ "empty", "", 0, 0, NULL },
};

static void listen_at(void **state)
{
	const struct listen_row *row = *state;
	struct sockaddr_storage ss;
	socklen_t n = 0;
	struct addr got, want;
	int err = addr_listen_read(slice_of(row->text), &ss, &n);

	assert_int_equal(err, row->family ? 0 : -EINVAL);
	if (!row->family)
		return;
	assert_int_equal(ss.ss_family, row->family);
	assert_int_equal(n, row->family == AF_INET ? sizeof(struct sockaddr_in)
						   : sizeof(struct sockaddr_in6));
	assert_int_equal(ntohs(((struct sockaddr_in *)&ss)->sin_port), row->port);
	assert_int_equal(addr_of_sockaddr((struct sockaddr *)&ss, &got), 0);
	assert_int_equal(addr_read(slice_of(row->host), &want), 0);
	assert_memory_equal(&got, &want, sizeof(got));
}

static void other_family(void **state)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct addr a;

	(void)state;
	assert_int_equal(addr_of_sockaddr(&sa, &a), -EAFNOSUPPORT);
}

int main(void)
{
	static const struct CMUnitTest single[] = { cmocka_unit_test(other_family) };
	int failed = RUN_ROWS("networks", net, net_rows);

	failed += RUN_ROWS("places", place, place_rows);
	failed += RUN_ROWS("addresses to listen at", listen_at, listen_rows);
	failed += cmocka_run_group_tests_name("addresses", single, NULL, NULL);
	return failed != 0;
}
