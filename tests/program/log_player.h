/*
 * log_player.h - the processes of log_scenarios.c: each is a player that does what it is ordered
 *
 * On a real broker a player is a process of its own, so it can be killed and stopped; on the
 * cluster in memory it is a process number and all is virtual. What a player does (log_player.c) is
 * one code over log.h; a house (log_house_kafka.c, log_house_mem.c) says how orders reach it.
 */
#ifndef CS_TESTS_LOG_PLAYER_H
#define CS_TESTS_LOG_PLAYER_H

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "log/log.h"

#define PARTS       4
#define PLAYERS_MAX 8
#define SESSION_MS  3000
#define LIST_MAX    8

enum what {
	DO_SETUP, /* flag: topic state with small segments */
	DO_JOIN,  /* a worker of id; flag: its hooks leave transactions open */
	DO_POLL,
	DO_PRODUCE,
	DO_COMMIT,
	DO_ABORT,
	DO_OPEN, /* is a transaction open? */
	DO_LEAVE,
	DO_OWNED,
	DO_COMMITTED,
	DO_SET_COMMITTED, /* from: the offset */
	DO_SEEK,
	DO_PAUSE,
	DO_LAG,
	DO_APPEND,
	DO_HIGH,
	DO_LOW,
	DO_READ,
	DO_READER, /* reads whole topics; from: a time */
	DO_FOREIGN_TXN,
	DO_FOREIGN_OFFSET,
};

struct order {
	enum what what;
	enum topic topic;
	int32_t partition;
	int64_t from, until;
	int ms;
	bool flag;
	size_t bytes; /* a value of so many bytes that do not compress, instead of value */
	char id[32], key[64], value[64];
	struct log_part list[LIST_MAX];
	size_t list_n;
};

struct answer {
	int r;
	int64_t v;
	struct log_part got; /* of a poll */
	int64_t at_ms;       /* when an append began; the append time of the last one read */
	char text[3000];     /* a value; a list; for every order the hooks since the last one */
	char hooks[200];
};

struct player {
	struct log *log;
	struct log_worker *w;
	bool leaves_open;
	int64_t begin[PARTS]; /* where an owned partition began; -3: not ours */
	int64_t next[PARTS];
	bool dirty[PARTS];
	char hooks[200];
	int64_t (*now_ms)(void), (*wall_ms)(void);
};

void player_do(struct player *p, const struct order *o, struct answer *ret);

/* ---- houses ---- */

struct house {
	const char *name;
	void (*begin)(void); /* of a scenario */
	void (*end)(void);
	int (*player)(void); /* a new process; its number */
	void (*order)(int player, const struct order *o, struct answer *ret);
	void (*kill)(int player);
	void (*stop)(int player, bool stopped);
	int64_t (*now_ms)(void);
	void (*rest)(int64_t ms);
	void (*compact)(enum topic topic); /* asks for it, or leaves it to the broker */
	void (*away)(int64_t ms);          /* the broker answers nobody for so long from now */
};
extern const struct house house_kafka, house_mem;

extern char log_prefix[64];
extern struct cfg log_cfg;

#endif
