# DNNL::dnnl by its library and header. Debian's own CMake config also asks for the headers and the
# development files of OpenCL, which a user of the CPU engine does not need; so neither our build nor
# our installed package, which brings this file along, goes through it.
if(NOT TARGET DNNL::dnnl)
  find_library(APPRENTICE_DNNL_LIBRARY dnnl)
  find_path(APPRENTICE_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp)
  mark_as_advanced(APPRENTICE_DNNL_LIBRARY APPRENTICE_DNNL_INCLUDE)
  if(NOT APPRENTICE_DNNL_LIBRARY OR NOT APPRENTICE_DNNL_INCLUDE)
    message(FATAL_ERROR "oneDNN not found (Debian: libdnnl-dev)")
  endif()
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${APPRENTICE_DNNL_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${APPRENTICE_DNNL_INCLUDE})
endif()
