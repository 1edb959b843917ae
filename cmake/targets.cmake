# callstream_library(NAME PUBLIC deps... PRIVATE deps...): lib/NAME/**.c as static target cs_NAME.
function(callstream_library name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/${name}/*.c)
  add_library(cs_${name} STATIC ${sources})
  set_target_properties(cs_${name} PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(cs_${name} PUBLIC ${arg_PUBLIC} PRIVATE cs_flags ${arg_PRIVATE})
endfunction()

# callstream_program(NAME FOLDER deps...): one binary from one folder of cmd/.
function(callstream_program name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE cs_flags ${ARGN} cs::jansson cs::event cs::yyjson Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()
