# Install and export: find_package(Apprentice [COMPONENTS packed ...]), then link apprentice::apprentice
# or a lower target. The config file finds only the packages that the wanted targets link.
include(CMakePackageConfigHelpers)

set(APPRENTICE_CONFIG_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/Apprentice)
set(APPRENTICE_PACKAGE_CUDA::cudart_static CUDAToolkit)
set(APPRENTICE_PACKAGE_fmt::fmt fmt)
set(APPRENTICE_PACKAGE_OpenMP::OpenMP_CXX OpenMP)
set(APPRENTICE_PACKAGE_Threads::Threads Threads)
set(APPRENTICE_PACKAGE_DNNL::dnnl dnnl)
set(APPRENTICE_PACKAGE_JPEG::JPEG JPEG)
set(APPRENTICE_PACKAGE_LibArchive::LibArchive LibArchive)
set(APPRENTICE_PACKAGE_tomlplusplus::tomlplusplus tomlplusplus)

# The packages that target `name` and what it links need. A library found by its file needs none.
function(apprentice_packages_of name result)
  set(packages "")
  get_property(needs GLOBAL PROPERTY APPRENTICE_NEEDS_${name})
  foreach(need IN LISTS needs)
    if(need MATCHES "^apprentice::(.*)$")
      apprentice_packages_of(${CMAKE_MATCH_1} below)
      list(APPEND packages ${below})
    elseif(DEFINED APPRENTICE_PACKAGE_${need})
      list(APPEND packages ${APPRENTICE_PACKAGE_${need}})
    elseif(need MATCHES "::")
      message(FATAL_ERROR "apprentice_install.cmake: which package holds ${need}?")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES packages)
  set(${result} ${packages} PARENT_SCOPE)
endfunction()

# Headers to include/apprentice/<name>/; sub-folders that are targets of their own go with those.
function(apprentice_install_headers name folder)
  set(targets_below "")
  foreach(other IN LISTS APPRENTICE_NAMES)
    get_property(place GLOBAL PROPERTY APPRENTICE_FOLDER_${other})
    cmake_path(IS_PREFIX folder ${place} below)
    if(below AND NOT place STREQUAL folder)
      cmake_path(RELATIVE_PATH place BASE_DIRECTORY ${folder})
      list(APPEND targets_below PATTERN ${place} EXCLUDE)
    endif()
  endforeach()
  install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/apprentice/${name}
          FILES_MATCHING PATTERN "*.h" PATTERN "*.inc" PATTERN "*_internal.h" EXCLUDE PATTERN cuda EXCLUDE
          PATTERN simt EXCLUDE
          ${targets_below})
endfunction()

get_property(APPRENTICE_NAMES GLOBAL PROPERTY APPRENTICE_TARGETS)
set(APPRENTICE_NEEDS "")
set(libraries apprentice_apprentice)
foreach(name IN LISTS APPRENTICE_NAMES)
  get_property(folder GLOBAL PROPERTY APPRENTICE_FOLDER_${name})
  apprentice_install_headers(${name} ${folder})
  apprentice_packages_of(${name} packages)
  string(APPEND APPRENTICE_NEEDS "set(apprentice_needs_${name} ${packages})\n")
  list(APPEND libraries apprentice_${name})
endforeach()
install(DIRECTORY ${APPRENTICE_UMBRELLA_DIR}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ${libraries} EXPORT ApprenticeTargets)
install(EXPORT ApprenticeTargets NAMESPACE apprentice:: DESTINATION ${APPRENTICE_CONFIG_FOLDER})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/ApprenticeConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/ApprenticeConfig.cmake
                              INSTALL_DESTINATION ${APPRENTICE_CONFIG_FOLDER}
                              NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ApprenticeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ApprenticeConfig.cmake
              ${PROJECT_BINARY_DIR}/ApprenticeConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/apprentice_dnnl.cmake
        DESTINATION ${APPRENTICE_CONFIG_FOLDER})

if(TARGET apprentice_program)
  file(RELATIVE_PATH to_libraries ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(apprentice_program PROPERTIES INSTALL_RPATH $ORIGIN/${to_libraries})
  install(TARGETS apprentice_program)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/tools/recipes
          DESTINATION ${CMAKE_INSTALL_DATADIR}/apprentice)
endif()
