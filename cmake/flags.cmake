# Flags live on one interface target that every target of ours links.
add_library(cs_flags INTERFACE)
target_compile_options(cs_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 -Wundef -Wwrite-strings -Wcast-qual -Wnull-dereference -Wimplicit-fallthrough
  -Wsign-compare -fno-common -fno-strict-aliasing -fvisibility=hidden)
if(CALLSTREAM_WERROR)
  target_compile_options(cs_flags INTERFACE -Werror)
endif()
target_compile_definitions(cs_flags INTERFACE _GNU_SOURCE CALLSTREAM_VERSION="${PROJECT_VERSION}")
if(CALLSTREAM_FAULTS)
  target_compile_definitions(cs_flags INTERFACE CALLSTREAM_FAULTS)
endif()
target_include_directories(cs_flags INTERFACE ${PROJECT_SOURCE_DIR}/lib)
if(CALLSTREAM_SANITIZE)
  list(JOIN CALLSTREAM_SANITIZE "," sanitize)
  # Unfortified: the checked calls of libc pass the sanitizers by, and gcc of Ubuntu fortifies by itself.
  target_compile_options(cs_flags INTERFACE -fsanitize=${sanitize} -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
  target_link_options(cs_flags INTERFACE -fsanitize=${sanitize})
  if("undefined" IN_LIST CALLSTREAM_SANITIZE)
    target_compile_options(cs_flags INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()
if(CALLSTREAM_FUZZ)
  target_compile_options(cs_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CALLSTREAM_COVERAGE)
  target_compile_options(cs_flags INTERFACE --coverage -O0 -fprofile-update=atomic) # threads count too
  target_link_options(cs_flags INTERFACE --coverage)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  # Undefined first: gcc of Ubuntu comes with a level of its own and would warn of ours.
  target_compile_options(cs_flags INTERFACE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
