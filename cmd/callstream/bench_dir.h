/*
 * bench_dir.h - where the Python programs of bench/ lie
 */
#ifndef CS_CMD_BENCH_DIR_H
#define CS_CMD_BENCH_DIR_H

/*
 * The folder that holds demo.py, crm.py and gen/: $CALLSTREAM_BENCH_DIR, else beside the binary
 * (../share/callstream/bench when installed, the source tree's bench/ when built there). To be
 * freed; NULL when none of these has them.
 */
char *bench_dir(void);

#endif
