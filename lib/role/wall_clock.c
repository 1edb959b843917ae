#include "role/wall_clock.h"

int64_t wall_clock_read(struct wall_clock *w, int64_t wall_ms, int64_t mono_ms, bool *ret_stepped)
{
	int64_t step_ms = wall_ms - mono_ms - w->ahead_ms;
	bool near = step_ms >= -WALL_STEP_MAX_MS && step_ms <= WALL_STEP_MAX_MS;

	*ret_stepped = false;
	if (!w->begun || near) {
		w->ahead_ms = wall_ms - mono_ms;
		w->begun = true;
		w->away = false;
		return wall_ms;
	}
	*ret_stepped = !w->away;
	w->away = true;
	return mono_ms + w->ahead_ms;
}
