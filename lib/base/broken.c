#include "base/broken.h"

#ifdef CALLSTREAM_BROKEN_RULES
enum broken_rule broken_rule;
#endif
