# apprentice_target(<name> [LINKS target...] [PRIVATE_LINKS target...] [FOLDERS sub...] [UNITS sub...])
#                   [INTERNAL])
#
# The library apprentice_<name> (alias apprentice::<name>) of all sources in the current folder and
# in its sub-folders FOLDERS and UNITS; INTERNAL: static, not installed, not in the umbrella. Nothing
# is listed by hand: CMake collects the files.
#
# UNITS are folders where one file is one thing to register. A file there that is not written for one
# instruction set must hold APPRENTICE_UNIT(<stem>); the generated load_<name>_units() calls each by
# name, so a missing or misnamed registration fails at link time and a static library drops nothing.
# registry.cpp, where the registry itself lives, is no unit.
#
# Instruction sets: *_avx2.cpp, *_avxvnni.cpp (256 bits), *_vnni.cpp (AVX-512) and *_neon.cpp (with
# Armv8.2's dot product) are compiled for theirs, where the processor is of that architecture;
# *_simd.cpp is compiled once for each of baseline, AVX2 and AVX-512, with APPRENTICE_ISA naming the
# namespace.
#
# CUDA: *.cu in UNITS folders, in builds with CUDA; *_sm90.cu for sm_90a only, and only where that is
# among the architectures.
set(APPRENTICE_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(APPRENTICE_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
    -mprefer-vector-width=512
    -Wno-maybe-uninitialized)  # g++ 12 warns of its own intrinsics (GCC bug 105593)
set(APPRENTICE_FLAGS_vnni ${APPRENTICE_FLAGS_avx512} -mavx512vnni)
set(APPRENTICE_FLAGS_avxvnni ${APPRENTICE_FLAGS_avx2} -mavxvnni)
set(APPRENTICE_FLAGS_neon -march=armv8.2-a+dotprod)
set(APPRENTICE_ISA_SUFFIX "_(avx2|avxvnni|vnni|neon|simd)\\.cpp$")
set(APPRENTICE_X86 OFF)
set(APPRENTICE_ARM64 OFF)
set(APPRENTICE_ISAS "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(APPRENTICE_X86 ON)
  set(APPRENTICE_ISAS avx2 avxvnni vnni)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(APPRENTICE_ARM64 ON)
  set(APPRENTICE_ISAS neon)
endif()

# Makes <build>/include/<name>/apprentice/<name> a link to the folder, so that a target sees only the
# headers of what it links.
function(apprentice_include_link name folder)
  set(root ${PROJECT_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root}/apprentice)
  file(CREATE_LINK ${folder} ${root}/apprentice/${name} SYMBOLIC)
endfunction()

# What every target of ours is compiled with, numeric flags of the contract included.
function(apprentice_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF
                        POSITION_INDEPENDENT_CODE ON)
  # Code with sanitizers in it makes g++ warn of the standard library.
  set(werror ${APPRENTICE_WERROR})
  if(APPRENTICE_SANITIZE)
    set(werror OFF)
  endif()
  # -Wno-restrict: g++ 12 warns of its own std::string (GCC bug 105651).
  target_compile_options(${target} PRIVATE -Wall -Wextra -ffp-contract=off
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
                         $<$<BOOL:${werror}>:-Werror>)
  target_compile_definitions(${target} PRIVATE APPRENTICE_X86=$<BOOL:${APPRENTICE_X86}>
                             $<$<BOOL:${APPRENTICE_ARM64}>:APPRENTICE_ARM64=1>)
  if(APPRENTICE_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${APPRENTICE_SANITIZE}
                           -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${APPRENTICE_SANITIZE})
  endif()
endfunction()

# A shared library shows the symbols of tools/cmake/exports.map and no others.
function(apprentice_hide_symbols target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "SHARED_LIBRARY" AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(map ${PROJECT_SOURCE_DIR}/tools/cmake/exports.map)
    target_link_options(${target} PRIVATE -Wl,--version-script=${map})
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${map})
  endif()
endfunction()

function(apprentice_generate_units name files)
  set(declarations "")
  set(calls "")
  foreach(file IN LISTS files)
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND declarations "void apprentice_unit_${name}_${stem}();\n")
    string(APPEND calls "    apprentice_unit_${name}_${stem}();\n")
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}_units.cpp CONTENT
"#include <mutex>
${declarations}
namespace apprentice {
void load_${name}_units();
void load_${name}_units() {
  // Units ask for the registries that they fill: the thread that registers must not wait for itself.
  static thread_local bool registering = false;
  if (registering) return;
  static std::once_flag once;
  std::call_once(once, [] {
    struct Mark {
      Mark() { registering = true; }
      ~Mark() { registering = false; }
    } mark;
${calls}  });
}
}  // namespace apprentice
" @ONLY)
endfunction()

# Compiles `sources` for one instruction set into `target`; `kind` tells the object libraries apart.
function(apprentice_isa_objects target kind isa sources)
  set(objects ${target}_${kind}_${isa})
  add_library(${objects} OBJECT ${sources})
  apprentice_compile_options(${objects})
  target_compile_options(${objects} PRIVATE ${APPRENTICE_FLAGS_${isa}})
  target_compile_definitions(${objects} PRIVATE APPRENTICE_ISA=${isa})
  target_include_directories(${objects} PRIVATE
                             $<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(${objects} PRIVATE $<TARGET_PROPERTY:${target},LINK_LIBRARIES>)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  if(NOT isa STREQUAL "baseline")
    set_property(GLOBAL APPEND PROPERTY APPRENTICE_ISA_OBJECTS ${objects})
  endif()
endfunction()

# Compiles `sources` with nvcc for `architectures` into `target`.
function(apprentice_cuda_objects target kind architectures sources)
  set(objects ${target}_${kind})
  add_library(${objects} OBJECT ${sources})
  set_target_properties(${objects} PROPERTIES CUDA_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
                        CUDA_ARCHITECTURES "${architectures}")
  target_compile_features(${objects} PUBLIC cxx_std_20)
  # The host half of a .cu runs no OpenMP loop of the headers that it includes.
  set(host -Wall -Wextra -Wno-unknown-pragmas -ffp-contract=off)
  if(APPRENTICE_WERROR)
    list(APPEND host -Werror)
  endif()
  list(JOIN host , host)
  list(JOIN architectures " " architectures_text)
  target_compile_options(${objects} PRIVATE ${APPRENTICE_CUDA_FLAGS} -Xcompiler=${host})
  target_compile_definitions(${objects} PRIVATE
                             $<TARGET_PROPERTY:${target},COMPILE_DEFINITIONS>
                             "APPRENTICE_CUDA_ARCHITECTURES=\"${architectures_text}\"")
  target_include_directories(${objects} PRIVATE
                             $<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(${objects} PRIVATE $<TARGET_PROPERTY:${target},LINK_LIBRARIES>)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
endfunction()

# The *.cu of a folder that this build compiles.
function(apprentice_cuda_sources folder result)
  set(found "")
  if(APPRENTICE_HAVE_CUDA)
    file(GLOB found CONFIGURE_DEPENDS ${folder}/*.cu)
    if(NOT "${CMAKE_CUDA_ARCHITECTURES}" MATCHES "90a")
      list(FILTER found EXCLUDE REGEX "_sm90\\.cu$")
    endif()
  endif()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# Is the imported target nothing but headers, so that who links ours privately needs nothing of it?
function(apprentice_is_header_only target result)
  get_target_property(type ${target} TYPE)
  get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
  set(${result} OFF PARENT_SCOPE)
  if(type STREQUAL "INTERFACE_LIBRARY" AND NOT links)
    set(${result} ON PARENT_SCOPE)
  endif()
endfunction()

function(apprentice_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INTERNAL" "" "LINKS;PRIVATE_LINKS;FOLDERS;UNITS")
  set(target apprentice_${name})
  set(here ${CMAKE_CURRENT_SOURCE_DIR})

  set(sources "")
  set(units "")
  set(cuda "")
  set(folders . ${arg_FOLDERS} ${arg_UNITS})
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    file(GLOB found CONFIGURE_DEPENDS ${here}/${folder}/*.cpp)
    list(APPEND sources ${found})
    if(folder IN_LIST arg_UNITS)
      apprentice_cuda_sources(${here}/${folder} found_cuda)
      list(APPEND cuda ${found_cuda})
      list(APPEND units ${found} ${found_cuda})
    endif()
  endforeach()
  list(FILTER units EXCLUDE REGEX "${APPRENTICE_ISA_SUFFIX}|/registry\\.cpp$")
  set(plain ${sources})
  list(FILTER plain EXCLUDE REGEX "${APPRENTICE_ISA_SUFFIX}")
  if(arg_UNITS)
    apprentice_generate_units(${name} "${units}")
    list(APPEND plain ${CMAKE_CURRENT_BINARY_DIR}/${name}_units.cpp)
  endif()

  set(kind "")
  if(arg_INTERNAL)
    set(kind STATIC)
  endif()
  add_library(${target} ${kind} ${plain})
  add_library(apprentice::${name} ALIAS ${target})
  # No <target>_EXPORTS: a shared build compiles what a static one does.
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} DEFINE_SYMBOL "")
  apprentice_compile_options(${target})
  apprentice_hide_symbols(${target})
  target_compile_definitions(${target} PRIVATE APPRENTICE_TARGET=${name})
  apprentice_include_link(${name} ${here})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include/${name}>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC ${arg_LINKS})
  set(needs ${arg_LINKS})
  foreach(link IN LISTS arg_PRIVATE_LINKS)
    apprentice_is_header_only(${link} header_only)
    if(header_only)
      target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:${link}>)
    else()
      target_link_libraries(${target} PRIVATE ${link})
      list(APPEND needs ${link})
    endif()
  endforeach()

  foreach(isa IN LISTS APPRENTICE_ISAS)
    set(files ${sources})
    list(FILTER files INCLUDE REGEX "_${isa}\\.cpp$")
    if(files)
      apprentice_isa_objects(${target} only ${isa} "${files}")
    endif()
  endforeach()
  set(simd ${sources})
  list(FILTER simd INCLUDE REGEX "_simd\\.cpp$")
  if(simd)
    apprentice_isa_objects(${target} simd baseline "${simd}")
    if(APPRENTICE_X86)
      apprentice_isa_objects(${target} simd avx2 "${simd}")
      apprentice_isa_objects(${target} simd avx512 "${simd}")
    endif()
  endif()
  if(cuda)
    target_link_libraries(${target} PRIVATE CUDA::cudart_static)
    list(APPEND needs CUDA::cudart_static)
    set(sm90 ${cuda})
    list(FILTER sm90 INCLUDE REGEX "_sm90\\.cu$")
    list(FILTER cuda EXCLUDE REGEX "_sm90\\.cu$")
    if(cuda)
      apprentice_cuda_objects(${target} cuda "${CMAKE_CUDA_ARCHITECTURES}" "${cuda}")
    endif()
    if(sm90)
      apprentice_cuda_objects(${target} cuda_sm90 90a-real "${sm90}")
    endif()
  endif()
  if(NOT arg_INTERNAL)
    set_property(GLOBAL APPEND PROPERTY APPRENTICE_TARGETS ${name})
    set_property(GLOBAL PROPERTY APPRENTICE_FOLDER_${name} ${here})
    set_property(GLOBAL PROPERTY APPRENTICE_NEEDS_${name} ${needs})
  endif()
endfunction()
