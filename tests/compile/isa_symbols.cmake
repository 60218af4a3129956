# Fails if an object of OBJECTS (joined by |), made for one instruction set, defines a weak symbol outside
# of a namespace of that set: the linker may pick any object's copy of an inline function or template, for
# all callers, and a processor without the instructions would then stop at it.
string(REPLACE "|" ";" OBJECTS "${OBJECTS}")
if(NOT OBJECTS)
  message(FATAL_ERROR "no objects to look at")
endif()
set(found "")
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} --defined-only --demangle ${object} OUTPUT_VARIABLE symbols
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [WVu] [^\n]+" weak "${symbols}")
  list(FILTER weak EXCLUDE REGEX "::(avx2|avxvnni|avx512|vnni|neon)::|DW\\.ref\\.__gxx_personality")
  foreach(symbol IN LISTS weak)
    string(APPEND found "\n${object}: ${symbol}")
  endforeach()
endforeach()
if(found)
  message(FATAL_ERROR "weak symbols in code for one instruction set:${found}")
endif()
