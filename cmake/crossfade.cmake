# The one way to declare a part of Crossfade.
#
#   crossfade_library(NAME model SRCS lsn.cpp DEPS spdlog::spdlog)
#     -> target crossfade_model, alias crossfade::model
#   crossfade_program(NAME crossfade-proxy SRCS main.cpp DEPS crossfade::model)
#     -> build/<preset>/bin/crossfade-proxy
#   crossfade_test(NAME model LABEL unit SRCS lsn_test.cpp DEPS crossfade::model)
#     -> target crossfade_unit_model; every TEST is a ctest of its own with the given label
#   crossfade_fuzzer(NAME startup SRCS startup.cpp DEPS crossfade::pgwire)
#     -> target crossfade_fuzz_startup: a libFuzzer under preset fuzz; elsewhere it replays corpus/startup/ as a ctest
#
# A library, or a test, of Asio's sessions says PRECOMPILED session, or session_test.
#
# Sources are named relative to the calling CMakeLists.txt. Headers are included from the project's root:
# #include "lib/model/lsn.hpp".

set(CROSSFADE_SANITIZE "" CACHE STRING "Sanitizers for everything of ours, e.g. address,undefined")
option(CROSSFADE_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

add_library(crossfade_warnings INTERFACE)
target_compile_options(crossfade_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside coroutine frames and inlined std::string where there is nothing to see (PR 105562, PR 105329).
  target_compile_options(crossfade_warnings INTERFACE
    -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
endif()

if(CROSSFADE_FUZZ)
  # Everything of ours reports its branches, not the targets alone.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CROSSFADE_SANITIZE)
  add_compile_options(-fsanitize=${CROSSFADE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CROSSFADE_SANITIZE})
  # spdlog and prometheus-cpp come from Debian without instrumentation; std::atomic_thread_fence is what g++ 12 warns about.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/precompiled.cmake)

# To an executable what its sanitizers need of it.
function(crossfade_sanitized target)
  if(CROSSFADE_SANITIZE MATCHES thread)
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/c11_threads.cpp)
    target_link_options(${target} PRIVATE -rdynamic)
  endif()
endfunction()

function(crossfade_library)
  cmake_parse_arguments(arg "" "NAME;PRECOMPILED" "SRCS;DEPS" ${ARGN})
  add_library(crossfade_${arg_NAME} STATIC ${arg_SRCS})
  add_library(crossfade::${arg_NAME} ALIAS crossfade_${arg_NAME})
  target_include_directories(crossfade_${arg_NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(crossfade_${arg_NAME} PUBLIC ${arg_DEPS} PRIVATE crossfade_warnings)
  if(NOT arg_PRECOMPILED)
    set(arg_PRECOMPILED library)
  endif()
  crossfade_precompiled(crossfade_${arg_NAME} ${arg_PRECOMPILED})
endfunction()

function(crossfade_program)
  cmake_parse_arguments(arg "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${arg_NAME} ${arg_SRCS})
  crossfade_sanitized(${arg_NAME})
  target_include_directories(${arg_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} crossfade_warnings)
  crossfade_precompiled(${arg_NAME} program)
endfunction()

# In seconds, for one TEST: what hangs should say so soon, and servers take their time on a busy machine.
set(crossfade_timeout_unit 60)
set(crossfade_timeout_scripted 60)
set(crossfade_timeout_integration 240)
set(crossfade_timeout_chaos 480)

# A test waits more than it computes, and there are hundreds of sources of them: to have them fast would be a third of
# the build.
set(crossfade_test_optimisation $<$<CONFIG:Release>:-O1>)

# TIMEOUT replaces the label's. RESOURCE_LOCK serialises tests that would starve each other.
function(crossfade_test)
  cmake_parse_arguments(arg "" "NAME;LABEL;PRECOMPILED;TIMEOUT;RESOURCE_LOCK" "SRCS;DEPS" ${ARGN})
  set(target crossfade_${arg_LABEL}_${arg_NAME})
  add_executable(${target} ${arg_SRCS})
  crossfade_sanitized(${target})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${arg_DEPS} GTest::gmock GTest::gtest_main crossfade_warnings)
  if(NOT arg_PRECOMPILED)
    set(arg_PRECOMPILED test)
  endif()
  crossfade_precompiled(${target} ${arg_PRECOMPILED})
  target_compile_options(${target} PRIVATE ${crossfade_test_optimisation})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT ${crossfade_timeout_${arg_LABEL}})
  endif()
  set(properties LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
  if(arg_RESOURCE_LOCK)
    # Those that run one after the other begin first, or they are what is left at the end, with a processor idle.
    list(APPEND properties RESOURCE_LOCK ${arg_RESOURCE_LOCK} COST 1000)
  endif()
  gtest_discover_tests(${target} TEST_PREFIX "${arg_LABEL}." NO_PRETTY_VALUES DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES ${properties})
endfunction()

# SRCS hold one LLVMFuzzerTestOneInput. The corpus is corpus/NAME/ beside the calling CMakeLists.txt: small, in git.
add_custom_target(crossfade_fuzzers)
function(crossfade_fuzzer)
  cmake_parse_arguments(arg "" "NAME" "SRCS;DEPS" ${ARGN})
  set(target crossfade_fuzz_${arg_NAME})
  add_executable(${target} ${arg_SRCS})
  crossfade_sanitized(${target})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${arg_DEPS} crossfade_warnings)
  if(CROSSFADE_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    add_dependencies(crossfade_fuzzers ${target})
    set(replay -runs=0)
  else()
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.cpp)
    set(replay)
  endif()
  add_test(NAME fuzz.${arg_NAME} COMMAND ${target} ${replay} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${arg_NAME})
  set_tests_properties(fuzz.${arg_NAME} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()
