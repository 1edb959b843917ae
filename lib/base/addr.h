/*
 * addr.h - IP addresses and networks as text: who may come in, where we may go
 *
 * An address is 16 bytes; IPv4 lies in its IPv4-mapped form, so that 10.0.0.1 and ::ffff:10.0.0.1
 * are one address. A name is never looked up here. Thread: any.
 */
#ifndef CS_BASE_ADDR_H
#define CS_BASE_ADDR_H

#include <sys/socket.h>

#include "base/slice.h"

struct addr {
	uint8_t b[16];
};

/* "10.0.0.1", "2001:db8::1", "fe80::1%eth0" (the scope is ignored), "[2001:db8::1]". 0 or -EINVAL.
 */
CHECKED int addr_read(struct slice text, struct addr *ret);
/* Of a socket's peer. 0; -EAFNOSUPPORT for anything but AF_INET and AF_INET6. */
CHECKED int addr_of_sockaddr(const struct sockaddr *sa, struct addr *ret);
bool addr_is_loopback(const struct addr *a);   /* 127/8, ::1 */
bool addr_is_link_local(const struct addr *a); /* 169.254/16, fe80::/10 */
/*
 * true for what no public system listens at: private networks (RFC 1918, ULA), CGNAT (100.64/10),
 * loopback, link-local (cloud metadata too), unspecified, multicast, broadcast and reserved ones
 * (RFC 6890), also inside NAT64 (64:ff9b::/96), 6to4 and IPv4-compatible addresses.
 */
bool addr_is_private(const struct addr *a);

/* A network: the first `bits` bits of an address; IPv4 counts from its place in the 16 bytes. */
struct net {
	struct addr addr;
	uint8_t bits; /* 0..128 */
};

/* "10.0.0.0/8", "2001:db8::/32"; without '/' one address. Bits behind the length are ignored.
 * 0 or -EINVAL. */
CHECKED int net_read(struct slice text, struct net *ret);
bool net_has_addr(const struct net *net, const struct addr *a);
/* The same for an address as text; false for what is none. */
bool net_has(const struct net *net, struct slice address);

/* An address to listen at: "127.0.0.1:9090", "[::1]:9090", ":9090" and "*:9090" (all of IPv4),
 * "localhost:9090". Port 0 lets the system choose. 0 or -EINVAL. */
CHECKED int addr_listen_read(struct slice text, struct sockaddr_storage *ret, socklen_t *ret_n);

#endif
