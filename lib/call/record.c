#include "call/fold.h"
#include "call/json_parts.h"

static void write_head(struct json_out *j, const struct record *rec)
{
	JO_KEY(j, "schema");
	jo_raw(j, SLICE("\"callstream.call/1\""));
	JO_KEY(j, "id");
	jo_uuid(j, &rec->id);
	JO_KEY(j, "revision");
	jo_int(j, rec->revision);
	JO_KEY(j, "complete");
	jo_bool(j, rec->complete);
	JO_PUT(j, "account", rec->account);
	JO_PUT(j, "source", rec->source);
	JO_PUT(j, "call_session_id", rec->call_session_id);
	JO_PUT(j, "direction", slice_of(direction_text(rec->direction)));
	JO_PUT(j, "outcome", slice_of(outcome_text(rec->outcome)));
	json_cause(j, &rec->cause);
	JO_PUT(j, "line", rec->line);
	JO_PUT(j, "trunk", rec->trunk);
	json_contact(j, &rec->contact);
}

static void write_times(struct json_out *j, const struct record *rec)
{
	JO_PUT_TIME(j, "started_at", rec->started_at_ms);
	JO_PUT_TIME(j, "answered_at", rec->answered_at_ms);
	JO_PUT_TIME(j, "ended_at", rec->ended_at_ms);
	JO_PUT_INT(j, "wait_ms", rec->wait_ms);
	JO_PUT_INT(j, "talk_ms", rec->talk_ms);
	JO_PUT_INT(j, "total_ms", rec->total_ms);
}

static void write_leg(struct json_out *j, const struct record_leg *leg)
{
	jo_begin_object(j);
	JO_PUT(j, "leg_id", leg->leg_id);
	JO_PUT(j, "location", leg->location);
	JO_PUT(j, "number", leg->number);
	JO_PUT(j, "queue", leg->queue);
	json_person(j, SLICE("employee"), &leg->employee);
	JO_PUT_TIME(j, "ringing_at", leg->ringing_at_ms);
	JO_PUT_TIME(j, "answered_at", leg->answered_at_ms);
	JO_PUT_TIME(j, "ended_at", leg->ended_at_ms);
	JO_PUT(j, "outcome", slice_of(outcome_text(leg->outcome)));
	JO_PUT(j, "from_leg", leg->from_leg);
	jo_end_object(j);
}

static void write_legs(struct json_out *j, const struct record *rec)
{
	if (rec->legs_n == 0)
		return;
	JO_KEY(j, "legs");
	jo_begin_array(j);
	for (size_t i = 0; i < rec->legs_n; i++)
		write_leg(j, &rec->legs[i]);
	jo_end_array(j);
}

static void write_transfers(struct json_out *j, const struct record *rec)
{
	if (rec->transfers_n == 0)
		return;
	JO_KEY(j, "transfers");
	jo_begin_array(j);
	for (size_t i = 0; i < rec->transfers_n; i++) {
		const struct record_transfer *t = &rec->transfers[i];

		jo_begin_object(j);
		JO_PUT_TIME(j, "at", t->at_ms);
		JO_PUT(j, "transfer", t->transfer);
		JO_PUT(j, "from", t->from);
		JO_PUT(j, "to", t->to);
		jo_end_object(j);
	}
	jo_end_array(j);
}

static void write_recordings(struct json_out *j, const struct record *rec)
{
	static const char *const states[] = {
		[RECORDING_EXPECTED] = "expected",
		[RECORDING_AVAILABLE] = "available",
		[RECORDING_STORED] = "stored",
		[RECORDING_LOST] = "lost",
	};

	if (rec->recordings_n == 0)
		return;
	JO_KEY(j, "recordings");
	jo_begin_array(j);
	for (size_t i = 0; i < rec->recordings_n; i++) {
		const struct record_recording *r = &rec->recordings[i];

		jo_begin_object(j);
		JO_PUT(j, "id", r->id);
		JO_PUT(j, "state", slice_of(states[r->state]));
		JO_PUT(j, "leg_id", r->leg_id);
		JO_PUT_INT(j, "duration_ms", r->duration_ms);
		JO_PUT(j, "url", r->url);
		JO_PUT(j, "source_url", r->source_url);
		JO_PUT_INT(j, "bytes", r->bytes);
		JO_PUT(j, "sha256", r->sha256);
		jo_end_object(j);
	}
	jo_end_array(j);
}

static void write_tail(struct json_out *j, const struct record *rec)
{
	if (rec->tags_n) {
		JO_KEY(j, "tags");
		jo_begin_array(j);
		for (size_t i = 0; i < rec->tags_n; i++)
			jo_text(j, rec->tags[i]);
		jo_end_array(j);
	}
	JO_PUT(j, "scenario", rec->scenario);
	JO_PUT(j, "external_id", rec->external_id);
	JO_PUT(j, "merged_into", rec->merged_into);
	if (rec->notes_n) {
		JO_KEY(j, "notes");
		jo_begin_array(j);
		for (size_t i = 0; i < rec->notes_n; i++)
			jo_text(j, slice_of(rec->notes[i]));
		jo_end_array(j);
	}
}

void record_write(struct buf *out, const struct record *rec)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	write_head(&j, rec);
	write_times(&j, rec);
	json_person(&j, SLICE("employee"), &rec->employee);
	json_person(&j, SLICE("caller"), &rec->caller);
	write_legs(&j, rec);
	write_transfers(&j, rec);
	write_recordings(&j, rec);
	write_tail(&j, rec);
	jo_end_object(&j);
}
