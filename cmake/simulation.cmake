# callstream-sim: the roles as they are, on a machine of its own making. What they ask of the C
# library goes to __wrap_NAME (cmd/callstream-sim/wrap_*.c, heap.c, loop.c). Not in release builds:
# link-time optimization may resolve a name before the linker can bend it.
set(simulation_wraps
  malloc calloc realloc free strdup posix_memalign aligned_alloc
  pthread_create pthread_join pthread_detach pthread_self pthread_setname_np
  pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock
  pthread_cond_init pthread_cond_destroy pthread_cond_wait pthread_cond_timedwait pthread_cond_signal
  pthread_cond_broadcast
  clock_gettime nanosleep usleep eventfd read write close poll gethostname getpid mallopt
  event_new event_add event_del event_free event_active event_priority_set
  metric log_open slog_write spool_open)

if(EXISTS ${PROJECT_SOURCE_DIR}/cmd/callstream-sim/main.c AND
   NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION AND NOT "thread" IN_LIST CALLSTREAM_SANITIZE)
  callstream_program(callstream-sim cmd/callstream-sim cs_role cs_log_mem)
endif()
if(TARGET callstream-sim)
  target_include_directories(callstream-sim PRIVATE cmd/callstream-sim)
  foreach(name ${simulation_wraps})
    target_link_options(callstream-sim PRIVATE "LINKER:--wrap=${name}")
  endforeach()
endif()
