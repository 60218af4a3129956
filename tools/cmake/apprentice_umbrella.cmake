# The target apprentice::apprentice (everything) and its generated header <apprentice/apprentice.h>,
# which includes every public header; *_internal.h are private, and so are cuda/ and simt/, which only
# kernels include.
get_property(targets GLOBAL PROPERTY APPRENTICE_TARGETS)
add_library(apprentice_apprentice INTERFACE)
add_library(apprentice::apprentice ALIAS apprentice_apprentice)
set_target_properties(apprentice_apprentice PROPERTIES EXPORT_NAME apprentice)

set(includes "#pragma once\n\n")
foreach(name IN LISTS targets)
  target_link_libraries(apprentice_apprentice INTERFACE apprentice::${name})
  get_property(folder GLOBAL PROPERTY APPRENTICE_FOLDER_${name})
  file(GLOB headers RELATIVE ${folder} CONFIGURE_DEPENDS ${folder}/*.h ${folder}/*/*.h)
  foreach(header IN LISTS headers)
    set(owned ${header})
    list(FILTER owned EXCLUDE REGEX "_internal\\.h$|^base/|^cuda/|^dense/|^packed/|^simt/")
    if(owned)
      string(APPEND includes "#include <apprentice/${name}/${header}>\n")
    endif()
  endforeach()
endforeach()
set(APPRENTICE_UMBRELLA_DIR ${PROJECT_BINARY_DIR}/include/umbrella)
file(CONFIGURE OUTPUT ${APPRENTICE_UMBRELLA_DIR}/apprentice/apprentice.h CONTENT "${includes}" @ONLY)
target_include_directories(apprentice_apprentice INTERFACE
                           $<BUILD_INTERFACE:${APPRENTICE_UMBRELLA_DIR}>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
