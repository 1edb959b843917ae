/*
 * file.h - records as JSON lines at the end of a file
 *
 * Each line is one write, and is synced before its step is done; steps that wait together share a
 * sync. Lines come at least once: `id` and `revision` in them tell repetitions. A torn last line,
 * of a crash or a full disk, is closed with a line end, so that it harms no other. A file that was
 * moved or removed (log rotation) is made anew. A disk may hang, so each sink has a thread.
 */
#ifndef CS_SINK_FILE_H
#define CS_SINK_FILE_H

#include "sink/sink.h"

#define FILE_SINK_LINES_MAX 1024 /* taken and not yet synced; more is -ENOSPC */

#endif
