# Configures, builds and runs the project CONSUMER in WORK, anew; fails where a step does.
#   INSTALL_FROM  a build folder to install to WORK/prefix first, for find_package
#   GENERATOR, COMPILER, LAUNCHER, FLAGS  of the build; LAUNCHER and FLAGS may be empty
#   TREE          the project's tree, to copy to WORK/tree with the files of ADD dropped in
#   NOT_LINKED    a regular expression that no line of `ldd` may match
cmake_minimum_required(VERSION 3.25)

function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output
                  WORKING_DIRECTORY ${WORK})
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
if(INSTALL_FROM)
  step("install" ${CMAKE_COMMAND} --install ${INSTALL_FROM} --prefix ${WORK}/prefix)
  file(GLOB_RECURSE private ${WORK}/prefix/*_internal.h)
  if(private)
    message(FATAL_ERROR "private headers are installed: ${private}")
  endif()
endif()
if(TREE)
  foreach(part CMakeLists.txt core kernels nn data quant models distill tools/cmake)
    get_filename_component(above ${part} DIRECTORY)
    file(COPY ${TREE}/${part} DESTINATION ${WORK}/tree/${above})
  endforeach()
  file(GLOB_RECURSE added RELATIVE ${ADD} ${ADD}/*)
  foreach(file IN LISTS added)
    if(EXISTS ${WORK}/tree/${file})
      message(FATAL_ERROR "${file} is no new file")
    endif()
  endforeach()
  file(COPY ${ADD}/ DESTINATION ${WORK}/tree)
endif()
step("configure" ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G ${GENERATOR}
     -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
     -D CMAKE_CXX_FLAGS=${FLAGS} -D CMAKE_PREFIX_PATH=${WORK}/prefix -D TREE=${WORK}/tree)
step("build" ${CMAKE_COMMAND} --build ${WORK}/build --target consumer)
step("run" ${WORK}/build/consumer)
message("${output}")
if(NOT_LINKED)
  step("ldd" ldd ${WORK}/build/consumer)
  if(output MATCHES "${NOT_LINKED}")
    message(FATAL_ERROR "the program links what it must not (${NOT_LINKED}):\n${output}")
  endif()
endif()
