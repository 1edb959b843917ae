# callstream_reasons(TARGET TSV HEADER): the table of a vendor's reasons as C rows, at configure time.
#
# A row becomes REASON(word, OUTCOME, q850, SIDE, text) when it names one word, the list sorted by
# word as strcmp does, and PATTERN(...) when it has a star, in the order of the file.
function(callstream_reasons target tsv header)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${tsv})
  file(STRINGS ${tsv} lines ENCODING UTF-8)
  list(POP_FRONT lines) # the names of the columns
  set(words "")
  set(patterns "")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^([a-z0-9_*]+)\t([a-z_]+)\t([0-9]+)\t([a-z]+|-)\t([^\t\"\\]+)$")
      message(FATAL_ERROR "${tsv}: no row of five columns: ${line}")
    endif()
    set(word "${CMAKE_MATCH_1}")
    string(TOUPPER "${CMAKE_MATCH_2}" outcome)
    string(TOUPPER "${CMAKE_MATCH_4}" side)
    string(REPLACE "-" "NONE" side "${side}")
    set(row "(\"${word}\", ${outcome}, ${CMAKE_MATCH_3}, ${side}, \"${CMAKE_MATCH_5}\")")
    if(word MATCHES "\\*")
      list(APPEND patterns "PATTERN${row}")
    else()
      list(APPEND words "${word}\tREASON${row}") # a tab sorts before any character of a word
    endif()
  endforeach()
  list(SORT words COMPARE STRING)
  list(TRANSFORM words REPLACE "^[^\t]*\t" "")
  list(JOIN words "\n" words)
  list(JOIN patterns "\n" patterns)
  get_filename_component(name ${tsv} NAME)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/${header}
       CONTENT "/* Made from ${name}; included several times on purpose, no guard. */\n${words}\n${patterns}\n" @ONLY)
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/generated)
endfunction()
