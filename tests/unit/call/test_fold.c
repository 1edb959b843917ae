#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "unit/call/fold_case.h"

#define EVENTS_MAX 12
#define WANTS_MAX  8
#define BASE_MS    INT64_C(1742292902000)

/*
 * A call in few words. An event is "KIND SECONDS MEMBERS", with ' for "; a want is a piece of the
 * record, with ! in front what must not stand in it.
 */
static struct row {
	const char *name;
	const char *events[EVENTS_MAX];
	const char *wants[WANTS_MAX];
	const char *source; /* NULL: callgear */
	enum cfg_recordings recordings;
	enum closed_by closed_by; /* CLOSED_NOT counts as CLOSED_BY_END */
	bool record_role, wait_over;
} rows[] = {
	/* rules.md 4: direction */
	{ .name = "direction: the summary's before all",
	  { "call.started 0 'direction':'out'", "call.ended 5 'direction':'in'" },
	  { "'direction':'in'" } },
	{ .name = "direction: the first that is not internal",
	  { "leg.ringing 0 'leg_id':'1','direction':'internal'",
	    "talk.started 1 'direction':'out'" },
	  { "'direction':'out'" } },
	{ .name = "direction: internal when nothing else was said",
	  { "call.started 0 'direction':'internal'", "call.ended 5" },
	  { "'direction':'internal'" } },
	{ .name = "direction: unknown when nobody says",
	  { "call.lost 0" },
	  { "!'direction'" },
	  .closed_by = CLOSED_BY_LOST_WITHOUT_END },
	{ .name = "by API: source and id may stand on different events",
	  { "call.started 0 'direction':'in','call_source':'callapi'",
	    "call.ended 5 'external_id':'crm-1','direction':'in'" },
	  { "'direction':'out'", "'notes':['click_to_call']", "'external_id':'crm-1'" } },
	{ .name = "by API without an id is a call like others",
	  { "call.started 0 'direction':'in','call_source':'callapi'", "call.ended 5" },
	  { "'direction':'in'", "!click_to_call" } },
	{ .name = "an id without API too",
	  { "call.started 0 'direction':'in','call_source':'va','external_id':'x'",
	    "call.ended 5" },
	  { "'direction':'in'", "!click_to_call" } },

	/* rules.md 6: times */
	{ .name = "start: as told, by whoever tells it first",
	  { "call.started 10", "call.ended 20 'started_at':'2025-03-18T10:15:05.000Z'" },
	  { "'started_at':'2025-03-18T10:15:05.000Z'", "'total_ms':17000" } },
	{ .name = "start: that of the first call.started",
	  { "leg.ringing 1 'leg_id':'1'", "call.started 3", "call.ended 20 'total_ms':1000" },
	  { "'started_at':'2025-03-18T10:15:05.000Z'" } },
	{ .name = "start: the end less the vendor's total",
	  { "leg.ringing 1 'leg_id':'1'", "call.ended 20 'total_ms':20000" },
	  { "'started_at':'2025-03-18T10:15:02.000Z'", "'total_ms':20000" } },
	{ .name = "start: else the first thing known",
	  { "note 0 'name':'in_call'", "leg.ringing 3 'leg_id':'1'", "call.ended 20" },
	  { "'started_at':'2025-03-18T10:15:05.000Z'" } },
	{ .name = "lost alone: the time it waited is before it",
	  { "call.lost 31 'wait_ms':31000" },
	  { "'started_at':'2025-03-18T10:15:02.000Z'", "'wait_ms':31000", "'talk_ms':0",
	    "'ended_at':'2025-03-18T10:15:33.000Z'", "!notes" },
	  .closed_by = CLOSED_BY_LOST_WITHOUT_END },
	{ .name = "lost and rung: the ring is the first thing known",
	  { "leg.ringing 5 'leg_id':'1'", "call.lost 31 'wait_ms':31000" },
	  { "'started_at':'2025-03-18T10:15:07.000Z'" },
	  .closed_by = CLOSED_BY_LOST_WITHOUT_END },
	{ .name = "end: as told before its own time",
	  { "call.started 0", "call.ended 5 'ended_at':'2025-03-18T10:15:06.000Z'" },
	  { "'ended_at':'2025-03-18T10:15:06.000Z'", "'total_ms':4000" } },
	{ .name = "end without summary: neither recording nor note moves it",
	  { "call.started 0", "leg.ringing 7 'leg_id':'1'", "note 50",
	    "recording.available 60 'recording':'r'" },
	  { "'ended_at':'2025-03-18T10:15:09.000Z'", "'notes':['closed_by_timeout']" },
	  .closed_by = CLOSED_BY_SILENCE },
	{ .name = "an end before the answer is moved to it",
	  { "call.started 0", "talk.started 9 'leg_ids':['1','2']",
	    "call.ended 10 'ended_at':'2025-03-18T10:15:06.000Z'" },
	  { "'ended_at':'2025-03-18T10:15:11.000Z'", "'total_ms':9000", "'wait_ms':9000",
	    "'talk_ms':0", "'notes':['clock_skew']" } },
	{ .name = "an end before the start: no negative span",
	  { "call.started 10", "call.ended 20 'ended_at':'2025-03-18T10:15:06.000Z'" },
	  { "'total_ms':0", "'wait_ms':0", "'notes':['clock_skew']" } },
	{ .name = "an answer before the start: no negative wait",
	  { "talk.started 1 'leg_ids':['1']", "call.started 3", "talk.ended 9 'leg_ids':['1']",
	    "call.ended 9" },
	  { "'wait_ms':0", "'talk_ms':6000", "'total_ms':6000", "'notes':['clock_skew']" } },

	/* rules.md 6: durations */
	{ .name = "talk: the vendor's total",
	  { "call.started 0", "talk.started 4 'leg_ids':['1']", "talk.ended 14 'leg_ids':['1']",
	    "call.ended 15 'talk_ms':9000" },
	  { "'talk_ms':9000", "'wait_ms':4000", "'total_ms':15000" } },
	{ .name = "talk: else the union of the talks",
	  { "call.started 0", "talk.started 2 'leg_ids':['1','2']",
	    "talk.started 4 'leg_ids':['1','3']", "talk.ended 6 'leg_ids':['1','2']",
	    "talk.ended 10 'leg_ids':['1','3']", "talk.started 12 'leg_ids':['1','2']",
	    "call.ended 15" },
	  { "'talk_ms':11000", "'wait_ms':2000" } },
	{ .name = "wait is cut where talk and wait exceed the total",
	  { "call.started 0", "talk.started 4 'leg_ids':['1']", "call.ended 10 'talk_ms':8000" },
	  { "'talk_ms':8000", "'wait_ms':2000", "'total_ms':10000" } },
	{ .name = "a talk longer than the call leaves no wait",
	  { "call.started 0", "talk.started 4 'leg_ids':['1']", "call.ended 10 'talk_ms':10500" },
	  { "'talk_ms':10500", "'wait_ms':0" } },
	{ .name = "unanswered: all of it was waiting",
	  { "call.started 0", "call.ended 10 'talk_ms':0,'wait_ms':3000" },
	  { "'wait_ms':10000", "'talk_ms':0", "!answered_at" } },
	{ .name = "answered by the summary alone: the talk was at the end",
	  { "call.started 0", "call.ended 10 'talk_ms':8000" },
	  { "'outcome':'answered'", "'wait_ms':2000", "'talk_ms':8000", "!answered_at" } },
	{ .name = "a hold is talk",
	  { "call.started 0", "talk.started 1 'leg_ids':['1']", "leg.held 3 'leg_id':'1'",
	    "leg.resumed 8 'leg_id':'1'", "talk.ended 11 'leg_ids':['1']", "call.ended 11" },
	  { "'talk_ms':10000" } },

	/* rules.md 5: talks */
	{ .name = "talks pair by the set of legs, not its order",
	  { "call.started 0", "talk.started 1 'leg_ids':['2','1']",
	    "talk.ended 6 'leg_ids':['1','2','1']", "call.ended 9" },
	  { "'talk_ms':5000" } },
	{ .name = "ids of any length are told apart",
	  { "call.started 0", "talk.started 1 'leg_ids':['9007199254740992']",
	    "talk.ended 3 'leg_ids':['9007199254740993']", "call.ended 9" },
	  { "'talk_ms':8000" } },
	{ .name = "without legs by employee",
	  { "call.started 0", "talk.started 1 'employee':{'id':'7'}",
	    "talk.started 2 'employee':{'id':'8'}", "talk.ended 3 'employee':{'id':'7'}",
	    "call.ended 4" },
	  { "'talk_ms':3000", "'from':'7','to':'8'" } },
	{ .name = "an end without legs ends its employee's talk",
	  { "call.started 0", "talk.started 1 'leg_ids':['1','2'],'employee':{'id':'7'}",
	    "talk.started 2 'leg_ids':['1','3'],'employee':{'id':'8'}",
	    "talk.ended 3 'employee':{'id':'7'}", "talk.ended 5 'employee':{'id':'8'}",
	    "call.ended 9" },
	  { "'talk_ms':4000" } },
	{ .name = "an end that tells nothing ends what runs",
	  { "call.started 0", "talk.started 1 'leg_ids':['1','2']", "talk.ended 3",
	    "call.ended 9" },
	  { "'talk_ms':2000" } },
	{ .name = "an end whose begin was lost is a talk too",
	  { "call.started 0", "talk.ended 9 'leg_ids':['1','2'],'talk_ms':5000", "call.ended 10" },
	  { "'outcome':'answered'", "'answered_at':'2025-03-18T10:15:06.000Z'",
	    "'talk_ms':5000" } },
	{ .name = "an end told twice is one end",
	  { "call.started 0", "talk.started 1 'leg_ids':['1']", "talk.ended 5 'leg_ids':['1']",
	    "talk.ended 6 'leg_ids':['1'],'talk_ms':4000", "talk.ended 7 'leg_ids':['1']",
	    "call.ended 9" },
	  { "'talk_ms':4000" } },
	{ .name = "the same legs may talk again",
	  { "call.started 0", "talk.started 1 'leg_ids':['1']", "talk.ended 3 'leg_ids':['1']",
	    "talk.ended 8 'leg_ids':['1'],'talk_ms':3000", "call.ended 9" },
	  { "'talk_ms':5000" } },

	/* rules.md 4: who */
	{ .name = "the last who talked, also when the summary names the first",
	  { "talk.started 1 'leg_ids':['1','2'],'employee':{'id':'7'}",
	    "talk.ended 3 'leg_ids':['1','2']",
	    "talk.started 4 'leg_ids':['1','3'],'employee':{'id':'8'}",
	    "call.ended 9 'employee':{'id':'7'}" },
	  { "'employee':{'id':'8'}" } },
	{ .name = "a talk that names nobody: whose leg was in it",
	  { "leg.ringing 0 'leg_id':'2','employee':{'id':'7','name':'A'}",
	    "leg.ringing 0 'leg_id':'3','employee':{'id':'8','name':'B'}",
	    "talk.started 1 'leg_ids':['1','2']", "call.ended 9" },
	  { "'total_ms':9000,'employee':{'id':'7','name':'A'}" } },
	{ .name = "nobody talked: the last rung",
	  { "leg.ringing 1 'leg_id':'1','employee':{'id':'7'}",
	    "leg.ringing 2 'leg_id':'2','employee':{'id':'8'}",
	    "call.ended 9 'employee':{'id':'7'}" },
	  { "'total_ms':8000,'employee':{'id':'8'}" } },
	{ .name = "rung together: the greatest leg, as a number",
	  { "leg.ringing 1 'leg_id':'10','employee':{'id':'7'}",
	    "leg.ringing 1 'leg_id':'9','employee':{'id':'8'}", "call.ended 9" },
	  { "'total_ms':8000,'employee':{'id':'7'}" } },
	{ .name = "a ring told twice rang once",
	  { "leg.ringing 1 'leg_id':'1','employee':{'id':'7'}",
	    "leg.ringing 2 'leg_id':'2','employee':{'id':'8'}",
	    "leg.ringing 3 'leg_id':'1','employee':{'id':'7'}", "call.ended 9" },
	  { "'total_ms':8000,'employee':{'id':'8'}" } },
	{ .name = "a ring without a leg tells who, but is no leg",
	  { "leg.ringing 1 'employee':{'id':'7'}", "call.ended 9" },
	  { "'employee':{'id':'7'}", "'outcome':'no_answer'", "!legs" } },
	{ .name = "else whoever is named",
	  { "call.started 1 'employee':{'extension':'101'}", "call.ended 9" },
	  { "'employee':{'extension':'101'}", "'outcome':'no_answer'", "!notes" } },
	{ .name = "a name or extension known anywhere in the call is known",
	  { "call.started 0 'employee':{'id':'7','name':'Dana'}",
	    "leg.ringing 1 'leg_id':'1','employee':{'id':'7'}",
	    "call.ended 9 'employee':{'id':'7','extension':'101'}" },
	  { "'employee':{'id':'7','extension':'101','name':'Dana'},'legs'", "!employee_unmapped",
	    "'leg_id':'1','employee':{'id':'7','extension':'101','name':'Dana'}" } },
	{ .name = "an id alone is unmapped",
	  { "call.started 0 'employee':{'id':'7'}", "call.ended 9" },
	  { "'notes':['employee_unmapped']" } },
	{ .name = "internal: the called and the calling one, nobody outside",
	  { "call.started 0 'direction':'internal','employee':{'id':'7','name':'A'},'line':'7495',"
	    "'contact':{'number':'7916'}",
	    "leg.ringing 1 'direction':'internal','leg_id':'1','employee':{'id':'8','name':'B'}",
	    "call.ended 9" },
	  { "'employee':{'id':'8','name':'B'},'caller':{'id':'7','name':'A'}", "!contact",
	    "!line" } },

	/* constants */
	{ .name = "the first contact stands, whatever comes later",
	  { "call.started 0 'contact':{'number':'89161234567'}",
	    "leg.ringing 1 'contact':{'number':'79161234567','id':'5','name':'N'}",
	    "call.ended 9" },
	  { "'contact':{'number':'89161234567','id':'5','name':'N'}" } },
	{ .name = "an address first: no number beside it",
	  { "call.started 0 'contact':{'uri':'sip:a@b'}",
	    "leg.ringing 1 'contact':{'number':'79161234567'}", "call.ended 9" },
	  { "'contact':{'uri':'sip:a@b'}" } },
	{ .name = "line, trunk and scenario: the first non-empty",
	  { "call.started 0 'line':'','scenario':null", "leg.ringing 1 'line':'1','trunk':'t'",
	    "call.ended 2 'line':'2','scenario':'S'" },
	  { "'line':'1','trunk':'t'", "'scenario':'S'" } },

	/* rules.md 5: legs */
	{ .name = "more than two seconds later a ring replaces",
	  { "leg.ringing 0 'leg_id':'1'", "leg.ringing 2 'leg_id':'2'",
	    "leg.ringing 2.001 'leg_id':'3'", "call.ended 9 'cause':{'vendor':'operator_busy'}" },
	  { "{'leg_id':'1','ringing_at':'2025-03-18T10:15:02.000Z',"
	    "'ended_at':'2025-03-18T10:15:04.001Z','outcome':'no_answer'}",
	    "{'leg_id':'2','ringing_at':'2025-03-18T10:15:04.000Z',"
	    "'ended_at':'2025-03-18T10:15:11.000Z','outcome':'busy'}" } },
	{ .name = "another leg's answer cancels",
	  { "leg.ringing 0 'leg_id':'1'", "leg.ringing 1 'leg_id':'2'",
	    "talk.started 5 'leg_ids':['0','2']", "talk.ended 8 'leg_ids':['0','2']",
	    "call.ended 9" },
	  { "{'leg_id':'1','ringing_at':'2025-03-18T10:15:02.000Z',"
	    "'ended_at':'2025-03-18T10:15:07.000Z','outcome':'cancelled'}",
	    "{'leg_id':'2','ringing_at':'2025-03-18T10:15:03.000Z',"
	    "'answered_at':'2025-03-18T10:15:07.000Z','ended_at':'2025-03-18T10:15:10.000Z',"
	    "'outcome':'answered'}" } },
	{ .name = "an answer before the ring cancels nothing",
	  { "leg.ringing 0 'leg_id':'1'", "talk.started 1 'leg_ids':['0','1']",
	    "leg.ringing 5 'leg_id':'2'", "call.ended 9" },
	  { "{'leg_id':'2','ringing_at':'2025-03-18T10:15:07.000Z',"
	    "'ended_at':'2025-03-18T10:15:11.000Z','outcome':'answered'}" } },
	{ .name = "the contact's own leg is none",
	  { "call.started 0 'direction':'in'", "leg.ringing 0 'leg_id':'1'",
	    "leg.answered 2 'leg_id':'0'", "leg.ended 9 'leg_id':'0'", "call.ended 9" },
	  { "!'leg_id':'0'", "'legs':[{'leg_id':'1'" } },
	{ .name = "an answer is one without a talk, its own end ends it",
	  { "leg.ringing 0 'leg_id':'1'", "leg.answered 2 'leg_id':'1'", "leg.ended 4 'leg_id':'1'",
	    "call.ended 9" },
	  { "'answered_at':'2025-03-18T10:15:04.000Z','ended_at':'2025-03-18T10:15:06.000Z',"
	    "'outcome':'answered'}",
	    "'outcome':'no_answer','started_at'" } },
	{ .name = "outbound has one leg, the first that rang",
	  { "call.started 0 'direction':'out','employee':{'id':'7'}",
	    "leg.ringing 1 'leg_id':'9','direction':'out','number':'7916'",
	    "leg.ringing 2 'leg_id':'1','direction':'out'", "call.ended 9" },
	  { "'legs':[{'leg_id':'9','number':'7916','employee':{'id':'7'},'ringing_at'",
	    "!'leg_id':'1'" } },
	{ .name = "outbound: of another source every leg",
	  { "leg.ringing 1 'leg_id':'9','direction':'out'",
	    "leg.ringing 2 'leg_id':'1','direction':'out'", "call.ended 9" },
	  { "'legs':[{'leg_id':'9'", "{'leg_id':'1'" },
	  .source = "mango" },
	{ .name = "outbound: the leg's employee is the one who dials",
	  { "call.started 0 'direction':'out','employee':{'id':'7','extension':'101'}",
	    "leg.ringing 1 'leg_id':'9','direction':'out'", "call.ended 9" },
	  { "'legs':[{'leg_id':'9','employee':{'id':'7','extension':'101'},'ringing_at'" } },
	{ .name = "an answer cancels the others, though it is the call's last word",
	  { "leg.ringing 0 'leg_id':'1'", "leg.ringing 1 'leg_id':'2'",
	    "talk.started 5 'leg_ids':['0','2']" },
	  { "{'leg_id':'1','ringing_at':'2025-03-18T10:15:02.000Z',"
	    "'ended_at':'2025-03-18T10:15:07.000Z','outcome':'cancelled'}" },
	  .closed_by = CLOSED_BY_SILENCE },
	{ .name = "a ring replaces the one before, though it is the call's last word",
	  { "leg.ringing 0 'leg_id':'1'", "leg.ringing 5 'leg_id':'2'" },
	  { "{'leg_id':'1','ringing_at':'2025-03-18T10:15:02.000Z',"
	    "'ended_at':'2025-03-18T10:15:07.000Z','outcome':'no_answer'}" },
	  .closed_by = CLOSED_BY_SILENCE },
	{ .name = "legs by first time, then id as a number",
	  { "leg.ringing 1 'leg_id':'10'", "leg.ringing 1 'leg_id':'9'",
	    "leg.ringing 0 'leg_id':'b'", "call.ended 9" },
	  { "'legs':[{'leg_id':'b'",
	    "'outcome':'no_answer'},{'leg_id':'9','ringing_at':'2025-03-18T10:15:03.000Z',"
	    "'ended_at':'2025-03-18T10:15:11.000Z','outcome':'no_answer'},{'leg_id':'10'" } },
	{ .name = "a leg keeps what its rings say",
	  { "leg.ringing 1 'leg_id':'1','location':'queue','queue':'sales'",
	    "leg.ringing 2 'leg_id':'1','location':'abonent','from_leg':'0','employee':{'id':'7'}",
	    "call.ended 9" },
	  { "{'leg_id':'1','location':'queue','queue':'sales','employee':{'id':'7'},",
	    "'from_leg':'0'}" } },

	/* rules.md 5: transfers */
	{ .name = "every change of the talking employee",
	  { "talk.started 1 'leg_ids':['0','1'],'employee':{'id':'7','extension':'101'}",
	    "talk.ended 3 'leg_ids':['0','1']",
	    "talk.started 4 'leg_ids':['0','2'],'employee':{'id':'8'}",
	    "talk.ended 6 'leg_ids':['0','2']",
	    "talk.started 7 'leg_ids':['0','1'],'employee':{'id':'7'}", "call.ended 9" },
	  { "'transfers':[{'at':'2025-03-18T10:15:05.000Z','transfer':'unknown','from':'101',"
	    "'to':'8'},{'at':'2025-03-18T10:15:08.000Z','transfer':'unknown','from':'8',"
	    "'to':'101'}]" } },
	{ .name = "a consultation that returns is none",
	  { "talk.started 1 'leg_ids':['0','1'],'employee':{'id':'7'}",
	    "talk.started 2 'leg_ids':['1','2'],'employee':{'id':'8'}",
	    "talk.ended 4 'leg_ids':['1','2']", "talk.ended 6 'leg_ids':['0','1']",
	    "call.ended 9" },
	  { "!transfers", "'employee':{'id':'7'}" } },
	{ .name = "a consultation for which the contact's talk stood still is none",
	  { "leg.ringing 0 'leg_id':'1'",
	    "talk.started 1 'leg_ids':['0','1'],'employee':{'id':'7'}",
	    "talk.ended 2 'leg_ids':['0','1']", "leg.ringing 2 'leg_id':'2'",
	    "talk.started 3 'leg_ids':['1','2'],'employee':{'id':'8'}",
	    "talk.ended 4 'leg_ids':['1','2']",
	    "talk.started 5 'leg_ids':['0','1'],'employee':{'id':'7'}", "call.ended 9" },
	  { "!transfers", "'employee':{'id':'7'}" } },
	{ .name = "an attended transfer is at the end of the first talk with the contact",
	  { "leg.ringing 0 'leg_id':'1'",
	    "talk.started 1 'leg_ids':['0','1'],'employee':{'id':'7'}",
	    "talk.ended 2 'leg_ids':['0','1']", "leg.ringing 2 'leg_id':'2'",
	    "talk.started 3 'leg_ids':['1','2'],'employee':{'id':'7'}",
	    "talk.ended 4 'leg_ids':['1','2']",
	    "talk.started 5 'leg_ids':['0','2'],'employee':{'id':'8'}", "call.ended 9" },
	  { "'transfers':[{'at':'2025-03-18T10:15:04.000Z','transfer':'unknown','from':'7',"
	    "'to':'8'}]" } },
	{ .name = "outbound: a consultation is a talk without the contact's leg",
	  { "leg.ringing 0 'leg_id':'9','direction':'out','employee':{'id':'7'}",
	    "talk.started 1 'leg_ids':['1','9'],'employee':{'id':'7'}",
	    "talk.ended 2 'leg_ids':['1','9']",
	    "talk.started 3 'leg_ids':['1','2'],'employee':{'id':'8'}",
	    "talk.ended 4 'leg_ids':['1','2']",
	    "talk.started 5 'leg_ids':['1','9'],'employee':{'id':'7'}", "call.ended 9" },
	  { "!transfers" } },
	{ .name = "by API the first leg is the employee's: every talk counts",
	  { "leg.ringing 0 'leg_id':'1','call_source':'callapi','external_id':'x',"
	    "'employee':{'id':'7'}",
	    "talk.started 1 'leg_ids':['1','9'],'employee':{'id':'7'}",
	    "talk.ended 2 'leg_ids':['1','9']",
	    "talk.started 3 'leg_ids':['2','9'],'employee':{'id':'8'}", "call.ended 9" },
	  { "'from':'7','to':'8'" } },
	{ .name = "the same employee on another leg is none",
	  { "talk.started 1 'leg_ids':['0','1'],'employee':{'id':'7'}",
	    "talk.ended 4 'leg_ids':['0','1']",
	    "talk.started 5 'leg_ids':['0','2'],'employee':{'id':'7'}", "call.ended 9" },
	  { "!transfers" } },
	{ .name = "told transfers stand as they were told",
	  { "talk.started 1 'leg_ids':['0','1'],'employee':{'id':'7'}",
	    "call.transferred 3 'transfer':'blind','from':'101','to':'102'",
	    "call.transferred 4 'from':'102','to':'103'", "call.ended 9" },
	  { "'transfers':[{'at':'2025-03-18T10:15:05.000Z','transfer':'blind','from':'101',"
	    "'to':'102'},{'at':'2025-03-18T10:15:06.000Z','transfer':'unknown','from':'102',"
	    "'to':'103'}]" } },

	/* rules.md 6: outcome and cause */
	{ .name = "the summary's reason before the lost one's",
	  { "call.lost 1 'cause':{'vendor':'timeout'}",
	    "call.ended 2 'cause':{'vendor':'operator_busy'}" },
	  { "'outcome':'busy'", "'cause':{'vendor':'operator_busy','q850':17," } },
	{ .name = "the lost one's where the summary has none",
	  { "call.lost 1 'cause':{'vendor':'sip_offline'}", "call.ended 2" },
	  { "'outcome':'unavailable'", "'vendor':'sip_offline'" } },
	{ .name = "an answered call keeps its reason",
	  { "talk.started 1 'leg_ids':['1']",
	    "call.ended 2 'cause':{'vendor':'operator_disconnects'}" },
	  { "'outcome':'answered','cause':{'vendor':'operator_disconnects','q850':16,"
	    "'text':'The employee hung up','by':'employee'}" } },
	{ .name = "an unknown reason says so",
	  { "call.started 0", "call.ended 2 'cause':{'vendor':'made_up'}" },
	  { "'outcome':'unknown','cause':{'vendor':'made_up'}," } },
	{ .name = "an unknown reason changes no answered call",
	  { "talk.started 0 'leg_ids':['1']", "call.ended 2 'cause':{'vendor':'made_up'}" },
	  { "'outcome':'answered'" } },
	{ .name = "what the event knows of its cause stands",
	  { "call.ended 2 'cause':{'vendor':'operator_busy','q850':34,'text':'T','by':'system'}" },
	  { "'cause':{'vendor':'operator_busy','q850':34,'text':'T','by':'system'}" } },
	{ .name = "no such number, whoever says so",
	  { "call.ended 2 'cause':{'vendor':'operator_busy','q850':1}" },
	  { "'outcome':'not_found'" } },
	{ .name = "a told outcome where no reason is",
	  { "call.ended 2 'outcome':'blocked'" },
	  { "'outcome':'blocked'" } },
	{ .name = "nothing rang, nobody known",
	  { "call.started 0", "call.ended 2" },
	  { "'outcome':'cancelled'", "!cause" } },
	{ .name = "an employee known",
	  { "call.started 0 'employee':{'id':'7'}", "call.ended 2" },
	  { "'outcome':'no_answer'" } },
	{ .name = "lost is no answer",
	  { "call.started 0", "call.lost 2" },
	  { "'outcome':'no_answer'" },
	  .closed_by = CLOSED_BY_LOST_WITHOUT_END },
	{ .name = "talk seconds alone are an answer",
	  { "call.ended 20 'talk_ms':1" },
	  { "'outcome':'answered'" } },

	/* rules.md 7: recordings; 1.6: complete */
	{ .name = "never: what comes is shown, nothing is awaited",
	  { "talk.started 0 'leg_ids':['1']", "call.ended 2",
	    "recording.started 3 'recording':'r'" },
	  { "'complete':true", "'recordings':[{'id':'r','state':'expected'}]", "!notes" },
	  .recordings = CFG_RECORDINGS_NEVER,
	  .wait_over = true },
	{ .name = "always: one is expected after a talk",
	  { "talk.started 0 'leg_ids':['1']", "call.ended 2" },
	  { "'complete':false", "'recordings':[{'state':'expected'}]", "!notes" },
	  .recordings = CFG_RECORDINGS_ALWAYS },
	{ .name = "always: but not without a talk",
	  { "call.started 0", "call.ended 2" },
	  { "'complete':true", "!recordings" },
	  .recordings = CFG_RECORDINGS_ALWAYS },
	{ .name = "always: seconds of talk are a talk",
	  { "call.ended 2 'talk_ms':5" },
	  { "'complete':false", "'recordings':[{'state':'expected'}]" },
	  .recordings = CFG_RECORDINGS_ALWAYS },
	{ .name = "always: the first real one takes its place",
	  { "talk.started 0 'leg_ids':['1']", "call.ended 2",
	    "recording.available 9 'recording':'r','duration_ms':5,'source_url':'u'" },
	  { "'complete':true", "'recordings':[{'id':'r','state':'available','duration_ms':5,"
			       "'source_url':'u'}]" },
	  .recordings = CFG_RECORDINGS_ALWAYS },
	{ .name = "one without id and link is none",
	  { "talk.started 0 'leg_ids':['1']", "call.ended 2", "recording.available 9" },
	  { "'recordings':[{'state':'expected'}]" },
	  .recordings = CFG_RECORDINGS_ALWAYS },
	{ .name = "the wait is over: missing, and complete",
	  { "talk.started 0 'leg_ids':['1']", "call.ended 2" },
	  { "'complete':true", "'recordings':[{'state':'expected'}]",
	    "'notes':['recording_missing']" },
	  .recordings = CFG_RECORDINGS_ALWAYS,
	  .wait_over = true },
	{ .name = "announced: by the summary",
	  { "call.ended 2 'talk_ms':5,'recorded':true" },
	  { "'complete':false", "'recordings':[{'state':'expected'}]" } },
	{ .name = "announced: not by the summary",
	  { "call.ended 2 'talk_ms':5,'recorded':false" },
	  { "'complete':true", "!recordings" } },
	{ .name = "announced: by its begin, without an id",
	  { "recording.started 1", "call.ended 2 'talk_ms':5" },
	  { "'complete':false", "'recordings':[{'state':'expected'}]" } },
	{ .name = "announced: by its begin",
	  { "recording.started 1 'recording':'r','leg_id':'3'", "call.ended 2 'talk_ms':5" },
	  { "'complete':false", "'recordings':[{'id':'r','state':'expected','leg_id':'3'}]" } },
	{ .name = "where they are stored, one is awaited until it is",
	  { "recording.available 1 'recording':'r'", "call.ended 2" },
	  { "'complete':false", "'state':'available'" },
	  .record_role = true },
	{ .name = "never stored: complete, but it did come",
	  { "recording.available 1 'recording':'r'", "call.ended 2" },
	  { "'complete':true", "'state':'available'", "!recording_missing" },
	  .record_role = true,
	  .wait_over = true },
	{ .name = "stored stays stored",
	  { "recording.stored 1 'recording':'r','bytes':7", "recording.available 2 'recording':'r'",
	    "recording.lost 3 'recording':'r'", "call.ended 4" },
	  { "'complete':true", "'state':'stored','bytes':7" },
	  .record_role = true },
	{ .name = "lost after it was there",
	  { "recording.available 1 'recording':'r'", "recording.lost 3 'recording':'r'",
	    "recording.started 4 'recording':'r'", "call.ended 4" },
	  { "'complete':true", "'state':'lost'" },
	  .record_role = true },
	{ .name = "recordings by id",
	  { "recording.available 1 'recording':'s'", "recording.available 2 'recording':'r'",
	    "call.ended 4" },
	  { "'recordings':[{'id':'r','state':'available'},{'id':'s','state':'available'}]" } },

	/* notes, tags and the rest */
	{ .name = "tags of all events, sorted, each once",
	  { "call.started 0 'tags':['b','a']", "call.ended 1 'tags':['a','Ж','A']" },
	  { "'tags':['A','a','b','Ж']" } },
	{ .name = "a time that was received only",
	  { "call.started - ", "call.ended 1" },
	  { "'notes':['no_time']", "'started_at':'2025-03-18T10:15:02.000Z'" } },
	{ .name = "notes sorted",
	  { "call.started - 'call_source':'callapi','external_id':'1','employee':{'id':'7'}",
	    "leg.ringing 1 'leg_id':'1','started_at':'2025-03-18T11:00:00.000Z'",
	    "note 3 'name':'rederive'" },
	  { "'notes':['click_to_call','clock_skew','closed_by_timeout','employee_unmapped',"
	    "'no_time','rederived']" },
	  .closed_by = CLOSED_BY_SILENCE },
	{ .name = "a late end takes the note away",
	  { "call.started 0", "call.ended 1" },
	  { "!notes" },
	  .closed_by = CLOSED_BY_SILENCE },
	{ .name = "a limit closed it",
	  { "call.started 0" },
	  { "'notes':['closed_by_limit']" },
	  .closed_by = CLOSED_BY_LIMIT },
	{ .name = "all legs ended, no summary: for CallGear a time-out like others",
	  { "call.started 0", "leg.ringing 1 'leg_id':'1'", "leg.ended 5 'leg_id':'1'" },
	  { "'notes':['closed_by_timeout']" },
	  .closed_by = CLOSED_BY_NO_SUMMARY },
	{ .name = "the call it belongs to",
	  { "call.started 0", "call.linked 1 'into':'S2'", "call.linked 2 'into':'S3'",
	    "call.ended 9" },
	  { "'merged_into':'0041c904-a1c0-5f19-a1c6-bd2d5b0f40c1'" } },

	/* a source without a row */
	{ .name = "others: an answered leg is an answer",
	  { "call.started 0", "leg.answered 2 'leg_id':'1'", "call.ended 9" },
	  { "'outcome':'answered'", "'answered_at':'2025-03-18T10:15:04.000Z'", "'talk_ms':7000" },
	  .source = "pbx" },
	{ .name = "others: outcome and cause as they were told",
	  { "call.ended 9 'outcome':'rejected','cause':{'vendor':'486','q850':17}" },
	  { "'outcome':'rejected','cause':{'vendor':'486','q850':17}" },
	  .source = "pbx" },
	{ .name = "others: told as answered",
	  { "call.started 0",
	    "call.ended 9 'outcome':'answered','answered_at':'2025-03-18T10:15:05.000Z'" },
	  { "'outcome':'answered'", "'answered_at':'2025-03-18T10:15:05.000Z'", "'talk_ms':6000",
	    "'wait_ms':3000" },
	  .source = "pbx" },
	{ .name = "others: without a summary",
	  { "leg.ringing 0 'leg_id':'1'", "leg.ended 4 'leg_id':'1'" },
	  { "'notes':['no_summary']" },
	  .source = "pbx",
	  .closed_by = CLOSED_BY_NO_SUMMARY },
	{ .name = "others: silence",
	  { "leg.ringing 0 'leg_id':'1'" },
	  { "'notes':['closed_by_timeout','no_summary']" },
	  .source = "pbx",
	  .closed_by = CLOSED_BY_SILENCE },
};

static void requote(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_add_char(out, *text == '\'' ? '"' : *text);
}

static void add_event(struct fold_case *c, const struct row *row, const char *text, unsigned n)
{
	struct buf json = BUF_EMPTY;
	char kind[40], seconds[20], at[TIME_ISO_LEN];
	int members = 0;

	assert_int_equal(sscanf(text, "%39s %19s %n", kind, seconds, &members), 2);
	time_iso_write(BASE_MS + (int64_t)(strtod(seconds, NULL) * 1000 + 0.5), at);
	buf_printf(&json,
		   "{\"schema\":\"callstream.event/1\",\"id\":\"00000000-0000-5000-8000-%012u\","
		   "\"account\":\"acme\",\"source\":\"%s\",\"call_session_id\":\"S1\","
		   "\"kind\":\"%s\",\"%s\":\"%.*s\"",
		   n, row->source ? row->source : "callgear", kind,
		   seconds[0] == '-' ? "received_at" : "at", TIME_ISO_LEN, at);
	if (text[members])
		buf_add_char(&json, ',');
	requote(&json, text + members);
	buf_add_char(&json, '}');
	fold_case_add(c, buf_slice(&json));
	buf_fini(&json);
}

static void check_want(const char *record, const char *want)
{
	struct buf piece = BUF_EMPTY;
	bool absent = want[0] == '!';

	requote(&piece, want + absent);
	buf_add_char(&piece, '\0');
	if (!strstr(record, piece.p) != absent)
		fail_msg("%s: %s\n%s", absent ? "unwanted" : "missing", piece.p, record);
	buf_fini(&piece);
}

static void fold_row(struct fold_case *c, const struct row *row, struct record *rec)
{
	fold_case_init(c);
	c->in.recordings = row->recordings;
	c->in.closed_by = row->closed_by != CLOSED_NOT ? row->closed_by : CLOSED_BY_END;
	c->in.record_role = row->record_role;
	c->in.recording_wait_over = row->wait_over;
	for (unsigned i = 0; i < EVENTS_MAX && row->events[i]; i++)
		add_event(c, row, row->events[i], i);
	assert_int_equal(fold_case_fold(c, rec), 0);
}

static void check(void **state)
{
	const struct row *row = *state;
	struct buf out = BUF_EMPTY;
	struct fold_case c;
	struct record rec;

	fold_row(&c, row, &rec);
	record_write(&out, &rec);
	buf_add_char(&out, '\0');
	for (size_t i = 0; i < WANTS_MAX && row->wants[i]; i++)
		check_want(out.p, row->wants[i]);
	buf_fini(&out);
	fold_case_fini(&c);
}

static void nothing_that_opens_a_call(void **state)
{
	struct row row = { .events = { "note 0", "recording.available 1 'recording':'r'" } };
	struct fold_case c;
	struct record rec = { .revision = 77 };

	(void)state;
	fold_case_init(&c);
	assert_int_equal(fold_case_fold(&c, &rec), -EINVAL);
	add_event(&c, &row, row.events[0], 0);
	add_event(&c, &row, row.events[1], 1);
	assert_int_equal(fold_case_fold(&c, &rec), -EINVAL);
	assert_int_equal(rec.revision, 77);
	fold_case_fini(&c);
	folder_free(NULL);
}

static void unknown_reasons_can_be_counted(void **state)
{
	struct row row = { .events = { "call.ended 1 'cause':{'vendor':'made_up'}" } };
	struct fold_case c;
	struct record rec;

	(void)state;
	fold_row(&c, &row, &rec);
	assert_true(rec.reason_unknown);
	fold_case_fini(&c);
	row.events[0] = "call.ended 1 'cause':{'vendor':'timeout'}";
	fold_row(&c, &row, &rec);
	assert_false(rec.reason_unknown);
	fold_case_fini(&c);
}

/* A folder is used again: what one call left must not show in the next. */
static void folders_forget(void **state)
{
	struct buf first = BUF_EMPTY, again = BUF_EMPTY;
	struct fold_case a, b;
	struct record rec;

	(void)state;
	fold_row(&a, &rows[0], &rec);
	record_write(&first, &rec);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct folder *own;

		fold_row(&b, &rows[i], &rec);
		own = b.folder;
		b.folder = a.folder;
		assert_int_equal(fold_case_fold(&b, &rec), 0);
		b.folder = own;
		fold_case_fini(&b);
	}
	assert_int_equal(fold_case_fold(&a, &rec), 0);
	record_write(&again, &rec);
	assert_true(slice_eq(buf_slice(&first), buf_slice(&again)));
	buf_fini(&first);
	buf_fini(&again);
	fold_case_fini(&a);
}

static void closing_words(void **state)
{
	(void)state;
	assert_string_equal(closed_by_text(CLOSED_NOT), "open");
	assert_string_equal(closed_by_text(CLOSED_BY_END), "end");
	assert_string_equal(closed_by_text(CLOSED_BY_NO_SUMMARY), "no_summary");
	assert_string_equal(closed_by_text(CLOSED_BY_LOST_WITHOUT_END), "lost_without_end");
	assert_string_equal(closed_by_text(CLOSED_BY_TALK_WITHOUT_END), "talk_without_end");
	assert_string_equal(closed_by_text(CLOSED_BY_SILENCE), "silent_call");
	assert_string_equal(closed_by_text(CLOSED_BY_LIMIT), "limit");
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(rows) + 4] = {
		cmocka_unit_test(nothing_that_opens_a_call),
		cmocka_unit_test(unknown_reasons_can_be_counted),
		cmocka_unit_test(folders_forget),
		cmocka_unit_test(closing_words),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tests[4 + i] = (struct CMUnitTest){ .name = rows[i].name,
						    .test_func = check,
						    .initial_state = &rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
