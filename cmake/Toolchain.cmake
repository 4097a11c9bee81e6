# Compiler cache, linker and warnings, alike for every target.
find_program(CCACHE ccache)
if(CCACHE)
  # Precompiled headers and ccache: the cache must not mind their time stamps. It asks the compiler what a source depends on rather
  # than preprocess it before it compiles: reading a precompiled header once more is a quarter of the work. clang's precompiled
  # headers name their sources by absolute paths, so that one checkout's are not another's.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=1 CCACHE_BASEDIR= CCACHE_HASHDIR=1 ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic)
if(KFS_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # What only one branch of an "if constexpr" uses counts as unused in the others.
  add_compile_options(-Wno-unused-lambda-capture)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlaps and out-of-bounds copies inside std::string that are not there (GCC bugs 105329, 105651), and in
  # instrumented code uninitialised uses, too.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  if(KFS_SANITIZE)
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
if(KFS_SANITIZE)
  add_compile_options(-fsanitize=${KFS_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KFS_SANITIZE})
endif()
# What is built whole and from nothing: several sources at a time take half as long. By default a release build keeps each source by
# itself, as does tests/run --long, so that none lives on what another includes.
if(KFS_UNITY OR KFS_SANITIZE)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)
endif()

include_directories(${CMAKE_SOURCE_DIR})
if(KFS_SANITIZE STREQUAL "thread")
  # ThreadSanitizer does not know fences. Asio orders its handlers by its mutex as well, which it does know.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

# What fuzzers look at is instrumented for libFuzzer's coverage; only the fuzz targets link its main().
function(kfs_fuzzed target)
  if(KFS_FUZZ)
    target_compile_options(${target} PRIVATE -O1 -fsanitize=fuzzer-no-link)  # unoptimised they run a few hundred inputs
  endif()
endfunction()

# What nearly every source includes, precompiled once a target: it halves the time of a full build.
function(kfs_precompile target)
  target_precompile_headers(${target} PRIVATE <functional> <map> <memory> <string> <unordered_map> <vector> ${ARGN})
endfunction()
